"""The plain networks equal the published code, layer by layer.

The limit is 1e-3 of an array's largest element. Rounding alone accounts for 4e-5 in the painted
picture (two machines that run the same code differ by as much), for 3e-6 elsewhere, and for 2e-4
where each layer's result is disturbed by a millionth; every mistake that one could think of in a
layer moves its output by 1e-2 or more.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sunriza_assets.studio.engines.liveportrait.keypoints import degrees, motion_of
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.networks.warping import DenseMotion
from sunriza_assets.studio.engines.liveportrait.reader import to_input
from sunriza_assets_tests.studio.engines.liveportrait import recorded

LIMIT = 1e-3


class _Listener:
    """Notes what inner layers give while a network runs."""

    def __init__(self) -> None:
        self.heard: dict[str, Tensor] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def to(
        self, name: str, module: nn.Module, way: Callable[[Tensor], Tensor] = lambda x: x
    ) -> None:
        def note(_: nn.Module, __: object, output: Tensor) -> None:
            self.heard[name] = way(output).clone()

        self._handles.append(module.register_forward_hook(note))

    def to_input_of(self, name: str, module: nn.Module) -> None:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.heard[name] = inputs[0].clone()

        self._handles.append(module.register_forward_pre_hook(note))

    def __enter__(self) -> "_Listener":
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def check(self, file: str) -> None:
        for name, output in self.heard.items():
            assert recorded.deviation(file, name, output.numpy()) < LIMIT, name


def _pooled(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x.relu(), 2)


def _halved(x: Tensor) -> Tensor:
    return functional.avg_pool3d(x.relu(), (1, 2, 2))


def test_appearance(modules: Modules) -> None:
    net = modules.appearance
    with _Listener() as listener:
        listener.to("F.first", net.first, functional.relu)
        for index, block in enumerate(net.down_blocks):
            listener.to(f"F.down{index}", block, _pooled)
        listener.to("F.second", net.second)
        listener.to("F.3dr0", net.resblocks_3d[0])
        listener.to("f_s", net)
        net(to_input([recorded.picture("source")]))
    assert len(listener.heard) == 6
    listener.check("readers.npz")


@pytest.mark.parametrize("name", ["source", "driving0", "driving1"])
def test_motion(modules: Modules, name: str) -> None:
    crop = to_input([recorded.picture(name)])
    with _Listener() as listener:
        if name == "source":
            detector = modules.motion.detector
            for index, stage in enumerate(detector.stages):
                listener.to(f"M.stage{index}", stage)
            listener.to("M.pooled_norm", detector.norm)
        raw = modules.motion(crop)
    listener.check("readers.npz")
    for head in raw._fields:
        output = getattr(raw, head).numpy()
        assert recorded.deviation("readers.npz", f"M_raw/{name}/{head}", output) < LIMIT, head
    for axis in ("pitch", "yaw", "roll"):
        angle = degrees(getattr(raw, axis))[:, None].numpy()
        assert recorded.deviation("readers.npz", f"deg/{name}/{axis}", angle) < LIMIT, axis
    motion = motion_of(raw)
    assert recorded.deviation("readers.npz", f"R/{name}", motion.rotation.numpy()) < LIMIT
    assert recorded.deviation("readers.npz", f"x/{name}", motion.keypoints.numpy()) < LIMIT


def test_a_batch_of_faces_reads_like_each_face(modules: Modules) -> None:
    crops = [recorded.picture(name) for name in ("source", "driving0")]
    together = motion_of(modules.motion(to_input(crops)))
    assert len(together) == 2
    for index, name in enumerate(("source", "driving0")):
        one = together[index : index + 1].keypoints.numpy()
        assert recorded.deviation("readers.npz", f"x/{name}", one) < LIMIT


def _listened_warp(
    modules: Modules, volume: Tensor, keypoints: dict[str, Tensor], case: str
) -> dict[str, Tensor]:
    net = modules.warping
    dense = net.dense_motion_network
    with _Listener() as listener:
        listener.to("A/W.compress_conv", dense.compress)
        listener.to("A/W.compress_bn", dense.norm)
        listener.to_input_of("A/W.hourglass_in", dense.hourglass)
        encoder, decoder = dense.hourglass.encoder, dense.hourglass.decoder
        for level in (0, 4):
            listener.to(f"A/W.enc{level}", encoder.down_blocks[level], _halved)
            listener.to(f"A/W.dec_up{level}", decoder.up_blocks[level], functional.relu)
        listener.to("A/W.hourglass_out", dense.hourglass)
        listener.to("A/W.mask_logits", dense.mask)
        listener.to("A/W.third", net.third, lambda x: functional.leaky_relu(x, 0.01))
        motions: list[DenseMotion] = []
        listener._handles.append(
            dense.register_forward_hook(lambda _, __, output: motions.append(output))
        )
        out = net(volume, keypoints[case], keypoints["source"])
    heard = listener.heard if case == "A" else {}
    return {
        **heard,
        f"{case}/W.deformation": motions[0].deformation,
        f"{case}/W.occlusion_map": motions[0].occlusion,
        f"{case}/W.out": out,
    }


def test_warping_and_painting(
    modules: Modules, volume: Tensor, keypoints: dict[str, Tensor]
) -> None:
    heard = _listened_warp(modules, volume, keypoints, "A")
    assert set(heard) == set(recorded.arrays("warping.npz"))
    for name, output in heard.items():
        assert recorded.deviation("warping.npz", name, output.numpy()) < LIMIT, name
    net = modules.generator
    with _Listener() as listener:
        for layer in ("fc", "G_middle_0", "G_middle_5", "up_0", "up_1", "conv_img"):
            listener.to(f"A/G.{layer}", net.get_submodule(layer))
        listener.to("A/image", net)
        image = net(heard["A/W.out"])
    listener.check("generator.npz")
    kept = recorded.arrays("generator.npz")
    window = image[0, :, 192:320, 200:328].numpy()
    assert np.abs(window - kept["A/window"]).max() < 2e-3  # recorded as float16
    as_bytes = (image[0].clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).numpy()[::4, ::4]
    off = np.abs(as_bytes.astype(int) - kept["A/bytes"])
    assert off.max() <= 1
    assert (off > 0).mean() < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("case", ["B", "C"])
def test_warping_and_painting_other_poses(
    modules: Modules, volume: Tensor, keypoints: dict[str, Tensor], case: str
) -> None:
    heard = _listened_warp(modules, volume, keypoints, case)
    for name, output in heard.items():
        deviation = recorded.deviation("warping_other_poses.npz", name, output.numpy())
        assert deviation < LIMIT, name
    image = modules.generator(heard[f"{case}/W.out"]).numpy()
    assert recorded.deviation("pictures_other_poses.npz", f"{case}/image", image) < LIMIT


def test_retargeting(modules: Modules, keypoints: dict[str, Tensor]) -> None:
    found = recorded.arrays("readers.npz")
    nets, source = modules.retargeting, keypoints["source"]
    delta = nets.stitching(source, keypoints["A"])
    eyes = nets.eye(source, torch.from_numpy(found["eye/ratio"]))
    lips = nets.lip(source, torch.from_numpy(found["lip/ratio"]))
    for name, output in (("stitch/delta", delta), ("eye/delta", eyes), ("lip/delta", lips)):
        assert recorded.deviation("readers.npz", name, output.numpy()) < LIMIT, name
