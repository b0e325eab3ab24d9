"""Numbers that are not finite are noticed before a later step makes a plausible picture of them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sunriza_assets.studio.bench.gpu.faults import INJECTIONS, injected
from sunriza_assets.studio.engines.liveportrait.arithmetic import computes_natively
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Convolution, Placement
from sunriza_assets.studio.engines.liveportrait.fast.overflow import FiniteCheck, Unfit
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.painter import Painted, Painter

CPU = torch.device("cpu")
EXACT, HALF = Placement(CPU, torch.float32), Placement(CPU, torch.float16)


def _painted(modules: Modules, placement: Placement, keypoints: dict[str, Tensor]) -> Painted:
    painter = Painter(modules, placement, 1)
    volume = torch.randn(1, 32, 16, 64, 64, generator=torch.Generator().manual_seed(1)) / 2
    return painter(painter.prepare(volume, keypoints["source"]), keypoints["A"])


def test_a_watch() -> None:
    check = FiniteCheck()
    with pytest.raises(ValueError, match="Nothing"):
        check.finite()
    ones = torch.full((3000,), 65504.0, dtype=torch.float16)
    assert check(ones) is ones
    assert check.finite(), "the sum of large numbers is none that overflows"
    check(torch.tensor([1.0, float("-inf")]))
    check(ones)
    assert not check.finite()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_each_kind_is_seen(value: float) -> None:
    x = torch.ones(2, 3, 4)
    x[1, 2, 3] = value
    check = FiniteCheck()
    check(x)
    assert not check.finite()


def test_opposite_infinities_do_not_cancel() -> None:
    check = FiniteCheck()
    check(torch.tensor([float("inf"), float("-inf")]))
    assert not check.finite()


def test_a_picture_without_overflow_is_finite(narrow: Modules, keypoints: Any) -> None:
    assert _painted(narrow, EXACT, keypoints).finite


@pytest.mark.parametrize("layer", INJECTIONS)
def test_an_overflow_in_any_layer_is_noticed(narrow: Modules, keypoints: Any, layer: str) -> None:
    """In float32 and beyond its range, which every processor has; half precision does the same.

    The pictures of three of them (mask, occlusion, pixels) hold finite numbers alone.
    """
    assert not _painted(injected(narrow, layer, 3e38), EXACT, keypoints).finite


@pytest.mark.skipif(
    not computes_natively(CPU, torch.float16), reason="float16 in plain loops takes minutes"
)
def test_half_precision_really_overflows(narrow: Modules, keypoints: Any) -> None:
    changed = injected(narrow, "last level", 1e5)
    assert not _painted(changed, HALF, keypoints).finite
    assert _painted(changed, EXACT, keypoints).finite


def test_weights_that_overflow_are_refused() -> None:
    weight = torch.full((4, 4, 3, 3), -70000.0)
    with pytest.raises(Unfit, match="7e\\+04"):
        Convolution(weight, None, HALF)
    Convolution(weight, None, EXACT)
