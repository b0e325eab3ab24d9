"""The bench counts work correctly and compares like with like."""

import json
from pathlib import Path

import pytest
import torch

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.bench.liveportrait import matmul_rate, measure, network_flop
from sunriza_assets.studio.bench.liveportrait_clip import measure_clip


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
    said: list[str] = []
    result = measure(device="cpu", baseline=True, rounds=1, report=said.append)
    json.dumps(result, allow_nan=False)
    assert set(result["stages"]) == {
        "motion",
        "keypoints",
        "warp and paint",
        "paste back",
        "to the host",
    }
    assert result["ratio"] > 0
    difference = result["difference"]
    # The largest of millions of rounding errors depends on the processor's own order of summation
    # (1.8e-5 on one, 2.01e-5 on another); their mean does not, and a wrong formula moves both.
    for network in ("warp", "paint"):
        assert difference[network]["max"] < 5e-5
        assert difference[network]["mean"] < 2e-6
    assert difference["picture"]["max"] < 1e-4, "the loop itself is as far from exact arithmetic"
    assert difference["picture"]["mean"] < 5e-6
    assert said


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_whole_idle(models_root: Path, tmp_path: Path) -> None:
    result = measure_clip(models_root, tmp_path, device="cpu", precision="bfloat16", frames=2)
    assert result["frames"] == 2
    assert (tmp_path / "idle.mp4").exists()
    json.dumps(result, allow_nan=False)
