"""The rewritten forward passes compute the same functions.

Piece by piece against the plain formula, then whole against the recording. Both are as far from
exact arithmetic as each other (measured: 1.2e-5 in the warped features either way). The limits
leave room for another processor's order of summation; a wrong formula is off by 1e-2 or more.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from sunriza_assets.studio.engines.liveportrait.arithmetic import computes_natively
from sunriza_assets.studio.engines.liveportrait.fast import sampling, wide
from sunriza_assets.studio.engines.liveportrait.fast.convolution import (
    Convolution,
    Placement,
    UpsampledConvolution,
    fold_norm,
    padded,
)
from sunriza_assets.studio.engines.liveportrait.fast.generator import (
    FastGenerator,
    _normed_by_sums,
    normed,
)
from sunriza_assets.studio.engines.liveportrait.fast.warping import FastWarping
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.networks.warping import (
    identity_grid,
    sample_volume,
)
from sunriza_assets.studio.engines.liveportrait.painter import Painter
from sunriza_assets_tests.studio.engines.liveportrait import recorded

EXACT = Placement(torch.device("cpu"), torch.float32)
HALF = Placement(torch.device("cpu"), torch.bfloat16)
few = settings(max_examples=15, deadline=None)


def _numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _near(got: Tensor, wanted: Tensor, limit: float = 1e-4) -> bool:
    return bool((got - wanted).abs().max() <= limit * wanted.abs().max())


def _padded_input(x: Tensor) -> Tensor:
    wide_x = functional.pad(x, (*(0, 0) * (x.ndim - 2), 0, padded(x.shape[1]) - x.shape[1]))
    return EXACT.put(wide_x)


@few
@given(
    inputs=st.integers(1, 20),
    outputs=st.integers(1, 20),
    factors=st.sampled_from([(2, 2), (4, 4), (1, 2, 2), (3, 2), (1, 1)]),
    seed=st.integers(0, 99),
)
def test_a_transposed_convolution_is_upsampling_and_convolution(
    inputs: int, outputs: int, factors: tuple[int, ...], seed: int
) -> None:
    axes = len(factors)
    size = (5, 3, 4)[:axes]
    x = _numbers(2, inputs, *size, seed=seed)
    weight = _numbers(outputs, inputs, *(3,) * axes, seed=seed + 1)
    bias = _numbers(outputs, seed=seed + 2)
    convolve = functional.conv2d if axes == 2 else functional.conv3d
    repeated = x
    for axis, factor in enumerate(factors, start=2):
        repeated = repeated.repeat_interleave(factor, dim=axis)
    wanted = convolve(repeated, weight, bias, padding=1)
    got = UpsampledConvolution(weight, bias, factors, EXACT)(_padded_input(x))
    assert _near(got[:, :outputs], wanted)
    assert not got[:, outputs:].any()


@few
@given(inputs=st.integers(1, 20), outputs=st.integers(1, 20), size=st.sampled_from([1, 3, 7]))
def test_a_padded_convolution_is_the_convolution(inputs: int, outputs: int, size: int) -> None:
    x, weight = _numbers(2, inputs, 9, 8), _numbers(outputs, inputs, size, size, seed=1)
    bias = _numbers(outputs, seed=2)
    wanted = functional.conv2d(x, weight, bias, padding=size // 2)
    got = Convolution(weight, bias, EXACT)(_padded_input(x))
    assert _near(got[:, :outputs], wanted)


@pytest.mark.parametrize(
    ("conv", "norm"),
    [(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)), (nn.Conv3d(3, 5, 1), nn.BatchNorm3d(5))],
)
def test_a_folded_norm_is_convolution_and_norm(
    conv: nn.Conv2d | nn.Conv3d, norm: nn.BatchNorm2d | nn.BatchNorm3d
) -> None:
    norm.load_state_dict(
        {
            "weight": _numbers(5),
            "bias": _numbers(5, seed=1),
            "running_mean": _numbers(5, seed=2),
            "running_var": _numbers(5, seed=3).square() + 0.1,
            "num_batches_tracked": torch.tensor(0),
        }
    )
    x = _numbers(2, 3, *(4,) * (conv.weight.ndim - 2))
    wanted = norm.eval()(conv(x))
    convolve = functional.conv2d if x.ndim == 4 else functional.conv3d
    assert _near(convolve(x, *fold_norm(conv, norm)), wanted)


@few
@given(x=st.floats(-2.5, 2.5), y=st.floats(-2.5, 2.5), z=st.floats(-2.5, 2.5))
def test_shifted_volumes_are_what_grid_sampling_gives(x: float, y: float, z: float) -> None:
    volume = _numbers(2, 16, 64, 64)
    shift = torch.tensor([[[x, y, z], [0.0, 0.0, 0.0]]])
    got = sampling.shifted_volumes(volume, shift)
    for index in range(2):
        grid = identity_grid(like=volume) + shift[0, index]
        wanted = sample_volume(volume[None], grid[None])[0]
        assert (got[0, ..., index, :].movedim(-1, 0) - wanted).abs().max() < 2e-4


def test_heat_maps_are_gaussians() -> None:
    keypoints = 0.8 * _numbers(1, 3, 3)
    offset = identity_grid(like=keypoints)[:, :, :, None] - keypoints[0]
    wanted = torch.exp(-0.5 * offset.square().sum(dim=-1) / 0.01)
    assert (sampling.heat_maps(keypoints, (16, 64, 64))[0] - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("depth", [16, 5])
@pytest.mark.parametrize("form", [wide.SlicedMask, wide.FourierMask])
def test_both_forms_of_the_mask_are_the_convolution(form: type, depth: int) -> None:
    weight, bias = _numbers(6, 18, 7, 7, 7), _numbers(6, seed=1)
    x = _numbers(2, 18, depth, 9, 8, seed=2)
    wanted = functional.conv3d(x, weight, bias, padding=3).permute(0, 2, 3, 4, 1)
    arguments = (weight, bias, EXACT) if form is wide.SlicedMask else (weight, bias, depth, EXACT)
    assert _near(form(*arguments)(_padded_input(x)), wanted)


def test_the_occlusion_is_the_convolution() -> None:
    weight, bias = _numbers(1, 18 * 4, 7, 7), _numbers(1, seed=1)
    x = _numbers(2, 18, 4, 10, 12, seed=2)
    wanted = functional.conv2d(x.flatten(1, 2), weight, bias, padding=3)
    got = wide.OcclusionConvolution(weight, bias, 4, EXACT)(_padded_input(x))
    assert _near(got, wanted)


@pytest.mark.parametrize("way", [normed, _normed_by_sums])
def test_instance_norm(way: object) -> None:
    x = 3 * _numbers(2, 16, 12, 10) + 5 * _numbers(1, 16, 1, 1, seed=1)
    wanted = functional.instance_norm(x, eps=1e-5)
    got = way(x.contiguous(memory_format=torch.channels_last))  # type: ignore[operator]
    assert (got - wanted).abs().max() < 2e-4


def test_warping_all_poses_at_once(warped: dict[str, Tensor]) -> None:
    for case, out in warped.items():
        file = "warping.npz" if case == "A" else "warping_other_poses.npz"
        assert recorded.deviation(file, f"{case}/W.out", out.numpy()) < 1e-3, case


def test_painting(modules: Modules, warped: dict[str, Tensor]) -> None:
    image = FastGenerator(modules.generator, EXACT)(warped["A"]).permute(0, 3, 1, 2)
    assert recorded.deviation("generator.npz", "A/image", image.numpy()) < 1e-3
    window = image[0, :, 192:320, 200:328].numpy()
    assert abs(window - recorded.arrays("generator.npz")["A/window"]).max() < 2e-3


@pytest.mark.slow
@pytest.mark.skipif(
    not computes_natively(HALF.device, HALF.dtype), reason="no bfloat16 instructions: an hour"
)
def test_painting_in_bfloat16_is_near(
    modules: Modules, volume: Tensor, keypoints: dict[str, Tensor]
) -> None:
    warping, generator = FastWarping(modules.warping, HALF), FastGenerator(modules.generator, HALF)
    source = warping.prepare(volume, keypoints["source"])
    image = generator(warping(source, keypoints["A"])).float().permute(0, 3, 1, 2)
    wanted = torch.from_numpy(recorded.arrays("generator.npz")["A/image"])
    off = (image[:, :, ::8, ::8] - wanted).abs()
    assert off.mean() < 0.012  # measured 0.007; a picture without any motion is off by 0.18
    assert off.max() < 0.15


def test_narrow_networks_are_rewritten_exactly_too(narrow: Modules, volume: Tensor) -> None:
    """One pose through all of W and G, plain and rewritten, in a second on any processor."""
    source, pose = (
        torch.randn(1, 21, 3, generator=torch.Generator().manual_seed(n)) / 4 for n in (1, 2)
    )
    features = narrow.warping(volume, pose, source)
    wanted = narrow.generator(features).permute(0, 2, 3, 1)
    painter = Painter(narrow, EXACT, 1)
    prepared = painter.prepare(volume, source)
    assert (painter.warp(prepared, pose) - features).abs().max() < 1e-3
    assert (painter.paint(features) - wanted).abs().max() < 1e-3
