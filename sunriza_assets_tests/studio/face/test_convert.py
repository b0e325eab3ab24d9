"""The converter: single operators against plain definitions, whole models against the originals."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face.catalog import catalog
from sunriza_assets.studio.face.convert.check import TOLERANCE, check_graph
from sunriza_assets.studio.face.convert.source import Operator, SourceGraph, Tensor
from sunriza_assets.studio.face.convert.translate import translate
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.onnx import onnxruntime

SAME, VALID = 0, 1


def converted(
    tensors: Sequence[Tensor], operator: Operator, picture: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Output of a graph of one operator from tensor 0 to the last tensor."""
    graph = SourceGraph(tuple(tensors), (operator,))
    model = translate(graph, "one", {"x": 0}, {"y": len(tensors) - 1})
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    output: NDArray[np.float32] = session.run(None, {"x": picture})[0]
    return output


def windows(
    picture: NDArray[np.float32], kernel: int, stride: int, padding: int, fill: float
) -> NDArray[np.float32]:
    """(outH, outW, kernel, kernel, C) what a window sees, by TensorFlow's definition of padding."""
    size = picture.shape[0]
    if padding == SAME:
        count = math.ceil(size / stride)
        total = max((count - 1) * stride + kernel - size, 0)
        before = total // 2
        widths = ((before, total - before), (before, total - before), (0, 0))
        picture = np.pad(picture, widths, constant_values=fill)
    else:
        count = (size - kernel) // stride + 1
    starts = [k * stride for k in range(count)]
    return np.array(
        [[picture[y : y + kernel, x : x + kernel] for x in starts] for y in starts], np.float32
    )


def plain_options(stride: int, padding: int) -> dict[str, int]:
    return {
        "Padding": padding,
        "StrideH": stride,
        "StrideW": stride,
        "DilationHFactor": 1,
        "DilationWFactor": 1,
        "FusedActivationFunction": 0,
    }


shapes = st.tuples(
    st.integers(5, 12), st.integers(1, 5), st.integers(1, 3), st.sampled_from([SAME, VALID])
)


@settings(max_examples=25, deadline=None)
@given(shapes, st.booleans())
def test_convolution(shape: tuple[int, int, int, int], depthwise: bool) -> None:
    size, kernel, stride, padding = shape
    rng = np.random.default_rng(size * 1000 + kernel * 100 + stride * 10 + padding)
    picture = rng.normal(size=(1, size, size, 3)).astype(np.float32)
    seen = windows(picture[0], kernel, stride, padding, 0)
    outputs = 3 if depthwise else 4
    bias = rng.normal(size=outputs).astype(np.float32)
    if depthwise:
        weight = rng.normal(size=(1, kernel, kernel, 3)).astype(np.float32)
        expected = np.einsum("hwijc,ijc->hwc", seen, weight[0]) + bias
    else:
        weight = rng.normal(size=(4, kernel, kernel, 3)).astype(np.float32)
        expected = np.einsum("hwijc,oijc->hwo", seen, weight) + bias
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    tensors = [
        Tensor("x", picture.shape, None),
        Tensor("w", weight.shape, weight),
        Tensor("b", bias.shape, bias),
        Tensor("y", (1, *expected.shape), None),
    ]
    operator = Operator(kind, (0, 1, 2), (3,), plain_options(stride, padding), b"")
    np.testing.assert_allclose(converted(tensors, operator, picture)[0], expected, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(shapes)
def test_max_pooling(shape: tuple[int, int, int, int]) -> None:
    size, kernel, stride, padding = shape
    rng = np.random.default_rng(size)
    picture = rng.normal(size=(1, size, size, 2)).astype(np.float32)
    expected = windows(picture[0], kernel, stride, padding, -np.inf).max(axis=(2, 3))
    options = plain_options(stride, padding) | {"FilterHeight": kernel, "FilterWidth": kernel}
    tensors = [Tensor("x", picture.shape, None), Tensor("y", (1, *expected.shape), None)]
    operator = Operator("MAX_POOL_2D", (0,), (1,), options, b"")
    np.testing.assert_array_equal(converted(tensors, operator, picture)[0], expected)


def test_reshape_counts_in_the_order_of_the_source() -> None:
    picture = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    tensors = [
        Tensor("x", picture.shape, None),
        Tensor("shape", (2,), np.array([6, 4], np.int32)),
        Tensor("y", (6, 4), None),
    ]
    result = converted(tensors, Operator("RESHAPE", (0, 1), (2,), {}, b""), picture)
    np.testing.assert_array_equal(result, picture.reshape(6, 4))


@pytest.mark.parametrize(
    ("kind", "options"),
    [("SOFTMAX", {}), ("ADD", {"FusedActivationFunction": 1})],
)
def test_what_is_not_handled_is_refused(kind: str, options: Mapping[str, int]) -> None:
    tensors = (Tensor("x", (1, 2), None), Tensor("y", (1, 2), None))
    graph = SourceGraph(tensors, (Operator(kind, (0, 0), (1,), options, b""),))
    with pytest.raises(ModelError, match=kind):
        translate(graph, "bad", {"x": 0}, {"y": 1})


def test_a_cut_that_leaves_an_input_open_is_refused() -> None:
    tensors = tuple(Tensor(name, (1, 2), None) for name in ("x", "loose", "y"))
    graph = SourceGraph(tensors, (Operator("ADD", (0, 1), (2,), {}, b""),))
    with pytest.raises(ModelError, match="loose"):
        translate(graph, "bad", {"x": 0}, {"y": 2})


@pytest.mark.parametrize("name", list(catalog().models))
def test_a_pulled_graph_answers_as_the_original_did(models: ModelStore, name: str) -> None:
    assert check_graph(name, models.path(name).read_bytes()) < TOLERANCE / 10


def test_one_wrong_kernel_is_noticed(models: ModelStore) -> None:
    name = "face_landmark"
    model = onnx.load_from_string(models.path(name).read_bytes())
    kernels = [i for i in model.graph.initializer if len(i.dims) == 4 and i.dims[2] == 3]
    weight = numpy_helper.to_array(kernels[len(kernels) // 2])
    flipped = np.ascontiguousarray(weight[:, :, ::-1])
    kernels[len(kernels) // 2].CopyFrom(
        numpy_helper.from_array(flipped, kernels[len(kernels) // 2].name)
    )
    with pytest.raises(ModelError, match="deviates"):
        check_graph(name, model.SerializeToString())
