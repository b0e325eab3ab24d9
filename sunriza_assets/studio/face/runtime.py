"""Run an ONNX graph with onnxruntime: which provider, how many threads, and no silent fallback."""

import contextlib
import ctypes
import io
import logging
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.capture_gate import GATE
from sunriza_assets.studio.face.onnx import onnxruntime

__all__ = ["CPU", "CUDA", "Graph", "has_nvidia_gpu", "usable_provider"]

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"

_log = logging.getLogger(__name__)


class Graph:
    """A loaded model. Calls from several threads are safe."""

    def __init__(self, path: Path, *, threads: int = 1, provider: str | None = None) -> None:
        """Load a graph.

        Args:
            path: the ONNX file.
            threads: CPU threads for one call; these graphs are too small to gain from more.
            provider: onnxruntime's name of an execution provider; None takes CUDA where an NVIDIA
                GPU is present and its libraries load, else the CPU.

        Raises:
            ModelError: the file cannot be loaded.
        """
        usable, fault = usable_provider()
        with GATE.using() if (provider or usable) == CUDA else contextlib.nullcontext():
            self._session = _open(path, threads, provider or usable)
        self.provider: str = self._session.get_providers()[0]
        """The provider that the graph really runs on."""
        if provider is None and self.provider != usable:
            fault = "its libraries load but no CUDA device can be opened"
        if provider is None and fault is not None:
            _warn_of_fallback(fault)
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._outputs = [node.name for node in self._session.get_outputs()]

    def run(self, *inputs: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name; inputs in the order of the catalogue, shaped as in the source model."""
        feed = dict(zip(self._inputs, inputs, strict=True))
        with GATE.using() if self.provider == CUDA else contextlib.nullcontext():
            answers = self._session.run(self._outputs, feed)
        return dict(zip(self._outputs, answers, strict=True))


def has_nvidia_gpu() -> bool:
    """Whether an NVIDIA GPU and its driver are there and not hidden by CUDA_VISIBLE_DEVICES."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1"}:
        return False
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


@cache
def usable_provider() -> tuple[str, str | None]:
    """The provider that graphs use here, and why an existing GPU cannot be used, if so.

    CUDA's libraries are loaded before onnxruntime loads them: it would print a message about a
    missing one at every session.
    """
    if not has_nvidia_gpu():
        return CPU, None
    fault = _cuda_fault()
    return (CUDA, None) if fault is None else (CPU, fault)


def _cuda_fault() -> str | None:
    """Why CUDA cannot be loaded: the loader's message, or None."""
    if CUDA not in onnxruntime.get_available_providers():
        return "this onnxruntime is built without CUDA"
    with contextlib.redirect_stdout(io.StringIO()):  # stdout is reserved for JSON output
        onnxruntime.preload_dlls()  # finds the CUDA libraries that come as Python packages
    folder = Path(onnxruntime.__file__).parent / "capi"
    for name in ("libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"):
        try:
            ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            return str(error)
    return None


def _open(path: Path, threads: int, provider: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads must not burn the cores that the renderer and the encoder share.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # `Graph` reports what matters itself
    # TF32 would round to ten bits of mantissa and give other landmarks than the CPU.
    wanted = [(CUDA, {"use_tf32": "0"}), CPU] if provider == CUDA else [provider]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise ModelError(
            f"Model cannot be loaded: {error}",
            where=path,
            remedy="Delete the file and run: sunriza models pull",
            code="damaged",
        ) from error


@cache
def _warn_of_fallback(reason: str) -> None:
    _log.warning(
        "An NVIDIA GPU is here but face models run on the CPU: %s. "
        "What to do about it says: sunriza doctor",
        reason,
    )
