"""The one way in which onnxruntime comes into a process: told to send nothing.

From 1.29 on, its packages for Linux and macOS report to their maker by default: the process, each
session, its model and its errors. The variable below turns all of it off, but only before the
import, and only for a process in which nobody has imported it already.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime  # noqa: TID251 - here, and not before the line above

__all__ = ["onnxruntime"]
