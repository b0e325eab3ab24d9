"""The only import of onnxruntime, with its telemetry disabled.

From 1.29 on, its packages for Linux and macOS report to their maker by default: the process, each
session, its model and its errors. The variable below turns all of it off, but only before the
import, and only for a process that has not imported it yet.
"""

import os
from typing import Final

from sunriza_assets.errors import ModelError

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_REMEDY: Final = (
    "In a checkout: make install. Elsewhere: pip uninstall onnxruntime onnxruntime-gpu, then "
    "pip install 'sunriza-assets[cpu]', or [gpu] for NVIDIA."
)

try:
    import onnxruntime  # noqa: TID251 - here, and not before the line above
except ImportError as absent:  # no dependency of its own: an extra chooses the build
    raise ModelError(
        "onnxruntime is not installed", remedy=_REMEDY, code="no_onnxruntime"
    ) from absent
if not hasattr(
    onnxruntime, "InferenceSession"
):  # one of two builds was removed, files of both went
    raise ModelError("onnxruntime lacks files of its own", remedy=_REMEDY, code="no_onnxruntime")

__all__ = ["onnxruntime"]
