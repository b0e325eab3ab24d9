"""Compare a converted graph with what the original file answered to the same input.

`reference.npz` holds values that Google's LiteRT 2.3 gave for the very source files (the two halves
of the attention mesh were cut out of the flatbuffer for that), fed with `synthetic_input`. Each
output is thinned to at most `VALUES` evenly spaced values, enough to notice any wrong operator.
"""

from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face.onnx import onnxruntime

__all__ = ["check_graph", "synthetic_input", "thinned"]

VALUES: Final = 512
"""Values kept of each output."""
TOLERANCE: Final = 1e-3
"""Allowed deviation as a share of the output's largest value; a right conversion shows 3e-5."""


def synthetic_input(shape: tuple[int, ...], number: int) -> NDArray[np.float32]:
    """A smooth pattern in 0..1, the same on every machine.

    Args:
        shape: shape of the input, at least three dimensions.
        number: which of the graph's inputs it is for, from 0.
    """
    axes = [np.arange(length, dtype=np.float64) / max(length, 2) for length in shape]
    grids = np.meshgrid(*axes, indexing="ij")
    phase = sum((3.1 + 1.7 * k + 0.9 * number) * (k + 1) * grid for k, grid in enumerate(grids))
    beat = np.cos(2 * np.pi * (2.3 * grids[1] - 3.7 * grids[2] + 0.31 * number))
    pattern: NDArray[np.float64] = 0.5 + 0.5 * np.sin(2 * np.pi * phase) * beat
    return pattern.astype(np.float32)


def thinned(output: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most `VALUES` evenly spaced values of an output, flat."""
    step = max(1, output.size // VALUES)
    return output.reshape(-1)[::step][:VALUES]


def check_graph(name: str, graph: bytes) -> float:
    """Run a converted graph and compare each output with the recorded one.

    Args:
        name: name of the model in the catalogue.
        graph: the serialized ONNX model.

    Returns:
        The largest deviation found, as a share of the largest value of its output.

    Raises:
        ModelError: an output deviates by more than `TOLERANCE`, or nothing is recorded for it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    inputs = {
        node.name: synthetic_input(tuple(node.shape), number)
        for number, node in enumerate(session.get_inputs())
    }
    names = [node.name for node in session.get_outputs()]
    worst = 0.0
    for output_name, output in zip(names, session.run(names, inputs), strict=True):
        recorded = _reference().get(f"{name}/{output_name}")
        if recorded is None:
            raise ModelError("No recorded output to check against", where=f"{name}/{output_name}")
        values = thinned(output)
        scale = float(np.abs(recorded).max())
        deviation = float(np.abs(values - recorded).max()) / scale
        if not deviation <= TOLERANCE:  # written so that NaN fails, too
            raise ModelError(
                f"Converted model deviates from the original by {deviation:.2g} of its range",
                where=f"{name}/{output_name}",
                remedy="This is a fault of the converter or of onnxruntime here; do not use it.",
                code="conversion",
            )
        worst = max(worst, deviation)
    return worst


@cache
def _reference() -> dict[str, NDArray[np.float32]]:
    path = files("sunriza_assets.studio.face.convert").joinpath("reference.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
