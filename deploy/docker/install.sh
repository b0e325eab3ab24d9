#!/bin/sh
# Install Sunriza Assets, with everything it needs on a fleet, into a Python: pinned, without caches.
#
#   install.sh SOURCE PYTHON [EXTRAS]
#
# EXTRAS name one build of onnxruntime, gpu or cpu, and what else is wanted: gpu,celery,k8s.
# SOURCE is a checkout, PYTHON an interpreter (a virtual environment's, say). The images, the Modal
# app and a test of this very script use it alike. PIP_* settings are pip's own; to leave the CUDA
# libraries out, point PIP_EXTRA_INDEX_URL at PyTorch's CPU wheels.
set -eu

source=$1
python=$2
extras=${3-gpu,celery,k8s}

"$python" -m pip install --no-cache-dir --disable-pip-version-check --quiet \
  -c "$source/constraints.txt" "$source${extras:+[$extras]}"

# A broken install shows now, not in the middle of the night.
"$python" -m pip check
"$python" -c 'import sunriza_assets.definitions'
