"""Devices and precisions."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait import device
from sunriza_assets.studio.engines.liveportrait.arithmetic import computes_natively
from sunriza_assets.studio.engines.liveportrait.device import (
    Precision,
    pick_device,
    place,
    precision_note,
    wider_placement,
)
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["quantum", "meta", "cuda:99"])
def test_unknown_devices(name: str) -> None:
    with pytest.raises(EngineError):
        pick_device(name)


def test_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    assert pick_device("cpu") == CPU
    assert place(CPU).dtype == torch.float32
    assert place(gpu).dtype == torch.float16
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    assert place(gpu, "bfloat16").dtype == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert place(gpu, "bfloat16").dtype == torch.float32
    assert "GPU has no bfloat16" in (precision_note(gpu, "bfloat16") or "")


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_what_every_machine_computes_is_never_replaced(precision: Precision) -> None:
    assert computes_natively(CPU, torch.float32)
    assert precision_note(CPU, precision) is None


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_missing_instructions_are_replaced_aloud(
    precision: Precision, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(device, "computes_natively", lambda _device, _type: False)
    assert place(CPU, precision).dtype == torch.float32
    assert f"no {precision} instructions" in caplog.text


@pytest.mark.skipif(platform.machine() != "x86_64", reason="limits of x86 instructions")
@pytest.mark.parametrize("limit", ["AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"])
def test_limits_of_onednn_count(limit: str) -> None:
    """Under the last two oneDNN accepts bfloat16, and is slower with it than with float32."""
    code = (
        "import torch\n"
        "from sunriza_assets.studio.engines.liveportrait.arithmetic import computes_natively\n"
        "print([computes_natively(torch.device('cpu'), dtype)"
        " for dtype in (torch.float32, torch.bfloat16, torch.float16)])"
    )
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": limit}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[True, False, False]"


def test_what_comes_after_an_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    half, brain = Placement(CPU, torch.float16), Placement(CPU, torch.bfloat16)
    exact = Placement(CPU, torch.float32)
    monkeypatch.setattr(device, "computes_natively", lambda _device, _type: True)
    assert wider_placement(half) == brain
    monkeypatch.setattr(device, "computes_natively", lambda _device, _type: False)
    assert wider_placement(half) == exact
    assert wider_placement(brain) == exact
    assert wider_placement(exact) is None
