#!/usr/bin/env bash
# Writes constraints.txt anew: what pyproject.toml allows today, installed together and pinned.
# Run it from the project's root on Linux x86-64, look at the difference, run all tests.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# A plain torch would bring gigabytes of CUDA; the pinned one decides which build by its platform.
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 -e '.[gpu,dev]'
{
  echo "# Every version pinned, as tested together. \`make constraints\` writes it anew."
  # Only one build of onnxruntime can be installed; both are released together.
  "$folder/venv/bin/python" -m pip freeze --exclude-editable |
    sed -E -e 's/^(torch==[0-9.]+)\+.*/\1/' -e 's/^onnxruntime-gpu(==.*)/onnxruntime\1\n&/'
} >"$folder/constraints.txt"
mv "$folder/constraints.txt" constraints.txt
