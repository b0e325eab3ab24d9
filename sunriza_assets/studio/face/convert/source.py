"""Read a TFLite flatbuffer as a list of plain operators; constants become float32 arrays.

Handles the file format only. Conversion of operators to ONNX is in `translate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tflite
from numpy.typing import NDArray

from sunriza_assets.errors import ModelError

__all__ = ["Operator", "SourceGraph", "Tensor", "read_tflite"]

_DTYPES: Final[Mapping[int, type[np.generic]]] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
_KINDS: Final[Mapping[int, str]] = {
    value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)
}
_WINDOW: Final = ("Padding", "StrideH", "StrideW", "FusedActivationFunction")
_DILATION: Final = ("DilationHFactor", "DilationWFactor")
_FILTER: Final = ("FilterHeight", "FilterWidth")
# operator: (its options table, the fields that matter here)
_OPTIONS: Final[Mapping[str, tuple[type, Sequence[str]]]] = {
    "ADD": (tflite.AddOptions, ("FusedActivationFunction",)),
    "AVERAGE_POOL_2D": (tflite.Pool2DOptions, _WINDOW + _FILTER),
    "CONCATENATION": (tflite.ConcatenationOptions, ("Axis", "FusedActivationFunction")),
    "CONV_2D": (tflite.Conv2DOptions, _WINDOW + _DILATION),
    "DEPTHWISE_CONV_2D": (tflite.DepthwiseConv2DOptions, _WINDOW + _DILATION),
    "MAX_POOL_2D": (tflite.Pool2DOptions, _WINDOW + _FILTER),
    "MUL": (tflite.MulOptions, ("FusedActivationFunction",)),
    "RESIZE_BILINEAR": (tflite.ResizeBilinearOptions, ("AlignCorners", "HalfPixelCenters")),
}


@dataclass(frozen=True)
class Tensor:
    """One edge of the graph."""

    name: str
    """Name in the source file."""
    shape: tuple[int, ...]
    """Four dimensions are (N, H, W, C), as TFLite has them."""
    constant: NDArray[Any] | None
    """The value, when the file carries one."""


@dataclass(frozen=True)
class Operator:
    """One node of the graph."""

    kind: str
    """Builtin name (`CONV_2D`) or the custom operator's own name."""
    inputs: tuple[int, ...]
    """Tensor numbers, in order; -1 is an input left out."""
    outputs: tuple[int, ...]
    """Tensor numbers."""
    options: Mapping[str, int]
    """The fields of the options table that `translate` reads."""
    custom_options: bytes
    """Raw options of a custom operator."""


@dataclass(frozen=True)
class SourceGraph:
    """The one subgraph of a TFLite file."""

    tensors: tuple[Tensor, ...]
    """By tensor number."""
    operators: tuple[Operator, ...]
    """In an order in which they can run."""

    def between(self, inputs: Sequence[int], outputs: Sequence[int]) -> list[Operator]:
        """The operators needed to get the tensors `outputs` from the tensors `inputs`.

        Raises:
            ModelError: an output also depends on a tensor that is neither given nor constant.
        """
        needed = set(outputs)
        given = set(inputs)
        chosen: list[Operator] = []
        for operator in reversed(self.operators):
            if needed.isdisjoint(set(operator.outputs) - given):
                continue
            chosen.append(operator)
            needed.update(index for index in operator.inputs if index >= 0)
        made = {index for operator in chosen for index in operator.outputs} | given
        loose = [i for i in needed - made if self.tensors[i].constant is None]
        if loose:
            names = ", ".join(self.tensors[i].name for i in sorted(loose))
            raise ModelError(f"Graph cut leaves inputs open: {names}", code="conversion")
        return chosen[::-1]


def read_tflite(data: bytes) -> SourceGraph:
    """Read the single subgraph of a TFLite file.

    The bytes must have been verified against a known hash: a flatbuffer is read without checks.

    Raises:
        ModelError: the file has several subgraphs or a type of tensor not handled here.
    """
    model = tflite.Model.GetRootAsModel(data, 0)
    if model.SubgraphsLength() != 1:
        raise ModelError(f"Model has {model.SubgraphsLength()} subgraphs, not 1", code="conversion")
    graph = model.Subgraphs(0)
    tensors = tuple(_tensor(model, graph.Tensors(i)) for i in range(graph.TensorsLength()))
    operators = tuple(_operator(model, graph.Operators(i)) for i in range(graph.OperatorsLength()))
    return SourceGraph(tensors, operators)


def _tensor(model: Any, tensor: Any) -> Tensor:
    shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    buffer = model.Buffers(tensor.Buffer())
    constant = None
    if buffer.DataLength():
        dtype = _DTYPES.get(tensor.Type())
        if dtype is None:
            raise ModelError(f"Tensor type {tensor.Type()} is not handled", code="conversion")
        constant = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype=dtype).reshape(shape)
    return Tensor(tensor.Name().decode(), shape, constant)


def _operator(model: Any, operator: Any) -> Operator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    # Files older than schema 3a keep the number in the deprecated 8-bit field.
    kind = _KINDS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    custom = b""
    if kind == "CUSTOM":
        kind = code.CustomCode().decode()
        if operator.CustomOptionsLength():
            custom = operator.CustomOptionsAsNumpy().tobytes()
    return Operator(
        kind=kind,
        inputs=tuple(int(i) for i in operator.InputsAsNumpy()),
        outputs=tuple(int(i) for i in operator.OutputsAsNumpy()),
        options=_options(kind, operator.BuiltinOptions()),
        custom_options=custom,
    )


def _options(kind: str, table: Any) -> dict[str, int]:
    if kind not in _OPTIONS or table is None:
        return {}
    options_type, names = _OPTIONS[kind]
    options = options_type()
    options.Init(table.Bytes, table.Pos)
    return {name: int(getattr(options, name)()) for name in names}
