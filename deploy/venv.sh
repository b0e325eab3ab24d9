#!/bin/sh
# Make .venv in this folder, or bring it up to date: what `make` calls before anything else.
#
#   deploy/venv.sh          what running needs, the embedded voices too
#   deploy/venv.sh dev      and what tests and linters need
#
# PYTHON names the interpreter; without it the first that fits of python3, python3.11, python3.12 is
# taken. ONNX is gpu or cpu: which build of onnxruntime is installed; without it, gpu where an NVIDIA
# driver is. The two builds fill the same folder and so are never installed together.
set -eu

extras=${1:-}
bin=.venv/bin
wanted='3.11 or 3.12'

fail() {
  echo "error: $1" >&2
  exit 1
}

# Whether $1 runs, is of a version that this project runs on, and can make virtual environments.
# Says in $found what it is. A name on PATH proves nothing: a version manager's may lead nowhere.
found=''
fits() {
  version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || return 1
  found="${found:+$found, }$1 is $version"
  case $version in
    3.11 | 3.12) ;;
    *) return 1 ;;
  esac
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return 0
  found="$found without venv (Debian, Ubuntu: apt-get install python$version-venv)"
  return 1
}

if ! fits $bin/python; then
  found=''
  chosen=''
  if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.11 python3.12; fi
  for name; do
    if fits "$name"; then
      chosen=$name
      break
    fi
  done
  [ -n "$chosen" ] || fail "Python $wanted is needed; ${found:-there is no $*}. Install one\
 (apt-get install python3.11 python3.11-venv; brew install python@3.11; pyenv install 3.11;\
 uv python install 3.11) or name one: make PYTHON=/path/to/python3.11"
  echo "Installing into .venv with $chosen: about 5 minutes and 3 GB, once."
  "$chosen" -m venv --clear .venv
fi
pip="$bin/python -m pip --disable-pip-version-check"
$pip --version >/dev/null 2>&1 || $bin/python -m ensurepip >/dev/null # the kill of an earlier try

if [ -z "${ONNX:-}" ]; then
  ONNX=cpu
  if [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null; then
    ONNX=gpu
  fi
fi
case $ONNX in
  cpu) other=onnxruntime-gpu ;;
  gpu) other=onnxruntime ;;
  *) fail "ONNX is $ONNX; it can be cpu or gpu" ;;
esac
# Outside Linux on x86-64 both names mean the same package.
[ "$(uname -sm)" = 'Linux x86_64' ] || other=onnxruntime-gpu

if $pip show --quiet "$other" 2>/dev/null; then
  # Removing one takes files of the other with it, so both go and one comes back whole.
  $pip uninstall --quiet --yes onnxruntime onnxruntime-gpu
fi
$pip install --quiet -c constraints.txt -e ".[$ONNX,speech${extras:+,$extras}]"
