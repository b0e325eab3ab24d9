"""Fixed batches: what is not full is filled up, what comes back is what was asked for."""

import pytest
import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait.arithmetic import computes_natively
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.fast.warping import WarpSource
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.painter import Painted, Painter


@pytest.fixture(scope="module")
def painter(narrow: Modules) -> Painter:
    placement = Placement(torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        return Painter(narrow, placement, 4, fixed=True)


def test_a_batch_that_is_not_full_is_filled_up_with_its_last_pose(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def paint(_: object, driving: Tensor) -> Painted:
        seen.append(driving)
        marks = (driving[:, 0, 0] * 10).to(torch.uint8)
        return Painted(marks[:, None, None, None].expand(-1, 512, 512, 3), torch.tensor(True))

    monkeypatch.setattr(painter, "_paint", paint)
    poses = torch.arange(3.0)[:, None, None].expand(3, 21, 3)
    source: WarpSource = None  # type: ignore[assignment]  # the stand-in does not look at it
    painted = painter(source, poses)
    assert painted.pictures[:, 0, 0, 0].tolist() == [0, 10, 20]
    assert seen[0][:, 0, 0].tolist() == [0.0, 1.0, 2.0, 2.0]
    painter.resize(2)
    assert painter(source, poses[:1]).pictures.shape == (1, 512, 512, 3)
    assert seen[1].shape == (2, 21, 3)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batches_paint_like_single_poses(
    modules: Modules, volume: Tensor, keypoints: dict[str, Tensor], dtype: torch.dtype
) -> None:
    cpu = torch.device("cpu")
    if not computes_natively(cpu, dtype):
        pytest.skip(f"no {dtype} instructions: an hour")
    painter = Painter(modules, Placement(cpu, dtype), 2, fixed=True)
    source = painter.prepare(volume, keypoints["source"])
    poses = torch.cat([keypoints["A"], keypoints["C"]])
    together = painter(source, poses).pictures.int()
    for index in range(2):
        alone = painter(source, poses[index : index + 1]).pictures.int()
        off = (together[index : index + 1] - alone).abs()
        assert off.max() <= 2
        assert off.float().mean() < 0.25
