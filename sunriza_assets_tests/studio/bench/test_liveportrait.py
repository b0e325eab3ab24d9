"""The bench counts work correctly and compares like with like."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.bench.liveportrait import matmul_rate, measure, network_flop
from sunriza_assets.studio.bench.liveportrait_clip import measure_clip
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.sample.performance import perform


def test_the_networks_work_is_what_is_known() -> None:
    gflop = {name: round(flop / 1e9, 1) for name, flop in network_flop().items()}
    assert gflop == {"features": 64.1, "motion": 11.6, "warp": 342.1, "paint": 891.6}


def test_a_device_has_a_rate() -> None:
    assert matmul_rate(torch.device("cpu"), torch.float32) > 1e9


def test_unknown_devices_are_refused_before_anything_is_made() -> None:
    with pytest.raises(EngineError):
        measure(device="quantum")


@pytest.mark.slow
def test_both_ways_make_the_same_pictures() -> None:
    """With narrow networks, which are rewritten alike; `test_fast` has the wide ones, too."""
    said: list[str] = []
    narrow = Modules.narrow()
    result = measure(
        device="cpu", baseline=True, rounds=1, modules=narrow, matrix=256, report=said.append
    )
    json.dumps(result, allow_nan=False)
    assert set(result["stages"]) == {
        "motion",
        "keypoints",
        "warp and paint",
        "paste back",
        "to the host",
    }
    assert result["ratio"] > 0
    # The largest of millions of rounding errors depends on the processor's own order of summation
    # and was seen to be 2e-5; their mean is a tenth of it. A wrong formula is off by 1e-2 or more.
    for output in ("warp", "paint", "picture"):
        assert result["difference"][output]["max"] < 5e-4
        assert result["difference"][output]["mean"] < 5e-5
    assert said


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_whole_idle(models_root: Path, tmp_path: Path) -> None:
    result = measure_clip(
        models_root,
        tmp_path,
        device="cpu",
        precision="float32",
        frames=6,
        modules=Modules.narrow(),
        side=256,
        performance=perform(Fraction(30), Fraction(1)),
    )
    assert result["frames"] == 6
    assert (tmp_path / "idle.mp4").exists()
    json.dumps(result, allow_nan=False)
