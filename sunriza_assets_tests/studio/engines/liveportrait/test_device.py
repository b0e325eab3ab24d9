"""Devices and precisions; running out of memory halves the batch and goes on."""

import os
import platform
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait import device
from sunriza_assets.studio.engines.liveportrait.arithmetic import computes_natively
from sunriza_assets.studio.engines.liveportrait.device import (
    Precision,
    Readback,
    pick_device,
    place,
    precision_note,
    shrinking_batches,
)

CPU = torch.device("cpu")


@given(count=st.integers(0, 60), size=st.integers(1, 16), room=st.integers(1, 16))
def test_whatever_fits_is_done_once_and_in_order(count: int, size: int, room: int) -> None:
    sizes: list[int] = []

    def work(batch: slice) -> list[int]:
        items = list(range(count))[batch]
        if len(items) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return items

    done = [
        item for _, items in shrinking_batches(count, size, work, sizes.append) for item in items
    ]
    assert done == list(range(count))
    assert sizes == sorted(sizes, reverse=True)
    for before, after in zip([size, *sizes], sizes, strict=False):
        assert after == max(1, before // 2)


def test_no_room_for_one_is_an_error_that_says_so() -> None:
    def work(_: slice) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(EngineError, match="single frame") as caught:
        list(shrinking_batches(3, 4, work, lambda _: None))
    assert caught.value.code == "engine.out_of_memory"


def test_other_errors_pass() -> None:
    def work(_: slice) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(shrinking_batches(3, 4, work, lambda _: None))


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
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[True, False, False]"


def test_a_tensor_that_is_here_already_needs_no_journey() -> None:
    tensor = torch.arange(6).reshape(2, 3)
    assert Readback.of(tensor).wait() is tensor
