"""Devices and precisions; running out of memory halves the batch and goes on."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait.device import (
    Readback,
    pick_device,
    place,
    shrinking_batches,
)


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


def test_precisions() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert place(torch.device("cpu")).dtype == torch.float32
    assert place(torch.device("cuda")).dtype == torch.float16
    assert place(torch.device("cuda"), "bfloat16").dtype == torch.bfloat16


def test_a_tensor_that_is_here_already_needs_no_journey() -> None:
    tensor = torch.arange(6).reshape(2, 3)
    assert Readback.of(tensor).wait() is tensor
