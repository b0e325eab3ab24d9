"""The residual block that both networks are made of, in torch."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ResidualBlock", "array", "linear_arrays"]


def array(tensor: Tensor) -> NDArray[np.float32]:
    """The tensor's values, for NumPy."""
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)


def linear_arrays(name: str, linear: nn.Linear) -> dict[str, NDArray[np.float32]]:
    """A Linear's parameters, the matrix as (inputs, outputs)."""
    return {f"{name}.weight": array(linear.weight.T), f"{name}.bias": array(linear.bias)}


class ResidualBlock(nn.Module):
    """Depthwise convolution, LayerNorm, Linear, ReLU, Linear, added to what came in.

    Args:
        channels: in and out.
        inner: between the two Linears.
        taps: of the convolution.
        dilation: frames between taps.
        causal: whether all taps lie in the past; otherwise as many in the future.
    """

    def __init__(
        self, channels: int, inner: int, taps: int, dilation: int, *, causal: bool
    ) -> None:
        super().__init__()
        reach = (taps - 1) * dilation
        self._around = (reach, 0) if causal else (reach // 2, reach // 2)
        self._dilation = dilation
        self.taps = nn.Parameter(torch.randn(taps, channels) * (1.0 / taps) ** 0.5)
        self.shift = nn.Parameter(torch.zeros(channels))
        self.norm = nn.LayerNorm(channels)
        self.up = nn.Linear(channels, inner)
        self.down = nn.Linear(inner, channels)
        nn.init.normal_(self.down.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, channels) -> the same."""
        # torch's dilated depthwise convolution is slow on CPUs; shifted products are not.
        count = x.shape[1]
        seen = functional.pad(x, (0, 0, *self._around))
        y = self.shift.expand_as(x)
        for tap in range(len(self.taps)):
            y = y + self.taps[tap] * seen[:, tap * self._dilation : tap * self._dilation + count]
        added: Tensor = self.down(functional.relu(self.up(self.norm(y))))
        return x + added

    def arrays(self, name: str) -> dict[str, NDArray[np.float32]]:
        """Its parameters by the names of the networks that NumPy runs."""
        return {
            f"{name}.taps": array(self.taps),
            f"{name}.shift": array(self.shift),
            f"{name}.gain": array(self.norm.weight),
            f"{name}.offset": array(self.norm.bias),
            **linear_arrays(f"{name}.up", self.up),
            **linear_arrays(f"{name}.down", self.down),
        }
