"""Write the ONNX graph: one small function for each kind of operator the face models use.

Layout: TFLite keeps pictures as (N, H, W, C), ONNX as (N, C, H, W). Inside the ONNX graph every
four-dimensional tensor is (N, C, H, W); at its inputs and outputs it has the source's own shape,
so that a converted model answers to the same arrays as the original. All arithmetic is float32.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face.convert.source import Operator, SourceGraph, Tensor

__all__ = ["translate"]

OPSET: Final = 17
IR_VERSION: Final = 8
"""The ONNX file format that goes with the operator set, read by every runtime since 2022."""
_TO_NCHW: Final = (0, 3, 1, 2)
_TO_NHWC: Final = (0, 2, 3, 1)
_SAME_PADDING: Final = 0
_CUSTOM_SAME_PADDING: Final = 1
"""Custom operators use the runtime's own numbering of the padding schemes."""


def translate(
    source: SourceGraph, name: str, inputs: Mapping[str, int], outputs: Mapping[str, int]
) -> bytes:
    """Convert the part of `source` between two sets of tensors.

    Args:
        source: the graph that was read.
        name: name of the new graph.
        inputs: new name -> tensor number where the part begins.
        outputs: new name -> tensor number where it ends.

    Returns:
        The serialized ONNX model; equal input gives equal bytes with one version of `onnx`.

    Raises:
        ModelError: the part uses an operator, padding or activation that is not handled here.
    """
    writer = _Writer(source)
    for new_name, index in inputs.items():
        writer.begin(new_name, index)
    for operator in source.between(list(inputs.values()), list(outputs.values())):
        rule = _RULES.get(operator.kind)
        if rule is None:
            raise ModelError(f"Operator {operator.kind} is not handled", code="conversion")
        if operator.options.get("FusedActivationFunction", 0):
            raise ModelError(f"Fused activation in {operator.kind} is not handled")
        rule(writer, operator)
    for new_name, index in outputs.items():
        writer.end(new_name, index)
    graph = helper.make_graph(
        writer.nodes,
        name,
        [_value_info(n, source.tensors[i]) for n, i in inputs.items()],
        [_value_info(n, source.tensors[i]) for n, i in outputs.items()],
        initializer=writer.initializers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    serialized: bytes = model.SerializeToString(deterministic=True)
    return serialized


def _value_info(name: str, tensor: Tensor) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(tensor.shape))


class _Writer:
    """Collects nodes and initializers; maps source tensors to their names."""

    def __init__(self, source: SourceGraph) -> None:
        self.source = source
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._names: dict[int, str] = {}
        self._constants: dict[int, NDArray[Any]] = {}

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of a tensor in the source's layout."""
        return self.source.tensors[index].shape

    def begin(self, name: str, index: int) -> None:
        """Make tensor `index` an input of the graph, in the source's layout."""
        self._names[index] = self._transposed(name, _TO_NCHW) if self._is_picture(index) else name

    def end(self, name: str, index: int) -> None:
        """Make tensor `index` an output of the graph, in the source's layout."""
        if self._is_picture(index):
            self.node("Transpose", [self.value(index)], name, perm=list(_TO_NHWC))
        else:
            self.node("Identity", [self.value(index)], name)

    def keep(self, index: int, constant: NDArray[Any]) -> None:
        """Note a tensor that is constant although an operator makes it."""
        self._constants[index] = constant

    def constant(self, index: int) -> NDArray[Any]:
        """Value of a constant tensor, in the source's layout."""
        found = self._constants.get(index)
        if found is None:
            found = self.source.tensors[index].constant
        if found is None:
            raise ModelError(f"Tensor {self.source.tensors[index].name} is not constant")
        return found

    def value(self, index: int) -> str:
        """Name of a tensor that operators before this one have made, (N, C, H, W)."""
        return self._names[index]

    def rows(self, index: int) -> str:
        """The same with the source's order of values, (N, H, W, C): what a reshape counts in."""
        name = self.value(index)
        return self._transposed(name, _TO_NHWC) if self._is_picture(index) else name

    def add(self, array: NDArray[Any], hint: str) -> str:
        """Store a constant; returns its name."""
        name = f"{hint}_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def made(self, index: int) -> str:
        """Name under which tensor `index` shall be known from here on."""
        self._names[index] = f"t{index}"
        return self._names[index]

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append a node with one output; returns the output's name."""
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _is_picture(self, index: int) -> bool:
        return len(self.shape(index)) == 4

    def _transposed(self, name: str, permutation: Sequence[int]) -> str:
        output = f"{name}_{'nchw' if permutation == _TO_NCHW else 'nhwc'}_{len(self.nodes)}"
        return self.node("Transpose", [name], output, perm=list(permutation))


def _pads(
    operator: Operator, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]
) -> list[int]:
    """ONNX pads (top, left, bottom, right) of TensorFlow's SAME or VALID scheme.

    SAME pads so that the output is ceil(size/stride); an odd pixel goes to the bottom and right.
    """
    if operator.options["Padding"] != _SAME_PADDING:
        return [0, 0, 0, 0]
    before, after = [], []
    for length, k, s in zip(size, kernel, stride, strict=True):
        total = max((-(-length // s) - 1) * s + k - length, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


def _window(writer: _Writer, operator: Operator, kernel: Sequence[int]) -> dict[str, list[int]]:
    stride = [operator.options["StrideH"], operator.options["StrideW"]]
    size = writer.shape(operator.inputs[0])[1:3]
    return {
        "kernel_shape": list(kernel),
        "strides": stride,
        "pads": _pads(operator, size, kernel, stride),
    }


def _dequantize(writer: _Writer, operator: Operator) -> None:
    half = writer.constant(operator.inputs[0])
    writer.keep(operator.outputs[0], half.astype(np.float32))


def _convolution(writer: _Writer, operator: Operator) -> None:
    data, weight, bias = operator.inputs
    if operator.options["DilationHFactor"] != 1 or operator.options["DilationWFactor"] != 1:
        raise ModelError("Dilated convolution is not handled", code="conversion")
    kernel = writer.constant(weight)
    if operator.kind == "DEPTHWISE_CONV_2D":  # (1, kH, kW, C) -> (C, 1, kH, kW)
        layout, groups = kernel.transpose(3, 0, 1, 2), kernel.shape[3]
    else:  # (C_out, kH, kW, C_in) -> (C_out, C_in, kH, kW)
        layout, groups = kernel.transpose(0, 3, 1, 2), 1
    writer.node(
        "Conv",
        [writer.value(data), writer.add(layout, "w"), writer.add(writer.constant(bias), "b")],
        writer.made(operator.outputs[0]),
        group=groups,
        **_window(writer, operator, kernel.shape[1:3]),
    )


def _transposed_convolution(writer: _Writer, operator: Operator) -> None:
    """Custom `Convolution2DTransposeBias`; options are (padding, stride W, stride H) as int32."""
    data, weight, bias = operator.inputs
    padding, stride_w, stride_h = struct.unpack("<3i", operator.custom_options)
    kernel = writer.constant(weight)  # (C_out, kH, kW, C_in)
    stride, size = [stride_h, stride_w], kernel.shape[1:3]
    if padding != _CUSTOM_SAME_PADDING or list(size) != stride:
        raise ModelError("Overlapping transposed convolution is not handled", code="conversion")
    writer.node(
        "ConvTranspose",
        [
            writer.value(data),
            writer.add(kernel.transpose(3, 0, 1, 2), "w"),
            writer.add(writer.constant(bias), "b"),
        ],
        writer.made(operator.outputs[0]),
        kernel_shape=list(size),
        strides=stride,
    )


def _pool(writer: _Writer, operator: Operator) -> None:
    kernel = [operator.options["FilterHeight"], operator.options["FilterWidth"]]
    kind = "MaxPool" if operator.kind == "MAX_POOL_2D" else "AveragePool"
    window = _window(writer, operator, kernel)
    if kind == "AveragePool" and any(window["pads"]):
        raise ModelError("Padded average pooling is not handled", code="conversion")
    output = writer.made(operator.outputs[0])
    writer.node(kind, [writer.value(operator.inputs[0])], output, **window)


def _prelu(writer: _Writer, operator: Operator) -> None:
    slope = writer.constant(operator.inputs[1])  # (1, 1, C) -> (C, 1, 1)
    alpha = writer.add(slope.reshape(-1, 1, 1), "slope")
    data = writer.value(operator.inputs[0])
    writer.node("PRelu", [data, alpha], writer.made(operator.outputs[0]))


def _plain(kind: str) -> Callable[[_Writer, Operator], None]:
    """An operator that means the same in both formats, in any layout."""

    def rule(writer: _Writer, operator: Operator) -> None:
        values = [writer.value(index) for index in operator.inputs]
        writer.node(kind, values, writer.made(operator.outputs[0]))

    return rule


def _hard_swish(writer: _Writer, operator: Operator) -> None:
    """x * clip(x/6 + 1/2, 0, 1), Howard et al. 2019, equation 1."""
    data = writer.value(operator.inputs[0])
    output = writer.made(operator.outputs[0])
    gate = writer.node("HardSigmoid", [data], f"{output}_gate", alpha=1 / 6, beta=0.5)
    writer.node("Mul", [data, gate], output)


def _pad(writer: _Writer, operator: Operator) -> None:
    amounts = writer.constant(operator.inputs[1])[list(_TO_NCHW)]  # rows: (before, after)
    pads = writer.add(amounts.T.reshape(-1).astype(np.int64), "pads")
    data = writer.value(operator.inputs[0])
    writer.node("Pad", [data, pads], writer.made(operator.outputs[0]))


def _reshape(writer: _Writer, operator: Operator) -> None:
    shape = writer.shape(operator.outputs[0])
    if len(shape) == 4:
        raise ModelError("Reshape to a picture is not handled", code="conversion")
    rows = writer.rows(operator.inputs[0])
    size = writer.add(np.array(shape, np.int64), "shape")
    writer.node("Reshape", [rows, size], writer.made(operator.outputs[0]))


def _concatenation(writer: _Writer, operator: Operator) -> None:
    axis = operator.options["Axis"]
    if len(writer.shape(operator.outputs[0])) == 4:
        axis = _TO_NCHW.index(axis)
    values = [writer.value(index) for index in operator.inputs]
    writer.node("Concat", values, writer.made(operator.outputs[0]), axis=axis)


def _resize(writer: _Writer, operator: Operator) -> None:
    if operator.options["AlignCorners"] or not operator.options["HalfPixelCenters"]:
        raise ModelError("Only half-pixel bilinear resizing is handled", code="conversion")
    count, height, width, channels = writer.shape(operator.outputs[0])
    sizes = writer.add(np.array([count, channels, height, width], np.int64), "sizes")
    writer.node(
        "Resize",
        [writer.value(operator.inputs[0]), "", "", sizes],
        writer.made(operator.outputs[0]),
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


_RULES: Final[Mapping[str, Callable[[_Writer, Operator], None]]] = {
    "ADD": _plain("Add"),
    "AVERAGE_POOL_2D": _pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "Convolution2DTransposeBias": _transposed_convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "DEQUANTIZE": _dequantize,
    "HARD_SWISH": _hard_swish,
    "LOGISTIC": _plain("Sigmoid"),
    "MAX_POOL_2D": _pool,
    "MUL": _plain("Mul"),
    "PAD": _pad,
    "PRELU": _prelu,
    "RELU": _plain("Relu"),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
}
