"""ONNX graphs of voices, with a node inside made an output."""

from pathlib import Path
from typing import Any

from sunriza_assets.cores import core_count
from sunriza_assets.errors import ModelError

__all__ = ["open_with_output"]


def open_with_output(
    path: Path, *, operator: str = "", node_output: str = "", remedy: str
) -> tuple[Any, str]:
    """A session on the CPU, and the name of the output that was added.

    Args:
        path: the ONNX file.
        operator: type of the only node whose output is wanted; or
        node_output: name of the output that is wanted.
        remedy: command that gets the file anew.

    Raises:
        ModelError: it cannot be loaded, or has no such node.
    """
    import onnx

    from sunriza_assets.studio.face.onnx import onnxruntime

    try:
        model = onnx.load(str(path))
        found = [
            name
            for node in model.graph.node
            for name in node.output
            if name == node_output or node.op_type == operator
        ]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in found)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = core_count()
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # neither library's errors have a base of their own
        raise ModelError(
            f"The voice's model cannot be loaded: {error}",
            where=path,
            remedy=f"Delete it and run: {remedy}",
            code="damaged",
        ) from error
    if len(found) != 1:
        raise ModelError(
            f"The graph has {len(found)} nodes that tell durations, not one",
            where=path,
            remedy=f"Run: {remedy}",
            code="foreign",
        )
    return session, found[0]
