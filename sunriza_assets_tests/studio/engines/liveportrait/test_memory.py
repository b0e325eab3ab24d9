"""Running out of memory, in all its forms, halves the batch; what a failed try held is freed."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait import memory
from sunriza_assets.studio.engines.liveportrait.memory import (
    is_out_of_memory,
    run_with_shrinking_batch,
    shrinking_batches,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class _Size:
    """The size of a batch, and all that it has been."""

    def __init__(self, size: int) -> None:
        self.seen = [size]

    def __call__(self) -> int:
        return self.seen[-1]

    def shrink(self, size: int) -> None:
        self.seen.append(size)


@settings(max_examples=12)  # each of them collects garbage several times
@given(count=st.integers(0, 60), size=st.integers(1, 16), room=st.integers(1, 16))
def test_whatever_fits_is_done_once_and_in_order(count: int, size: int, room: int) -> None:
    sizes = _Size(size)

    def work(batch: slice) -> list[int]:
        items = list(range(count))[batch]
        if len(items) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return items

    batches = shrinking_batches(count, CPU, work, sizes, sizes.shrink)
    assert [item for _, items in batches for item in items] == list(range(count))
    for before, after in zip(sizes.seen, sizes.seen[1:], strict=False):
        assert after == before // 2


def test_another_thread_may_halve_the_batch_meanwhile() -> None:
    sizes, seen = _Size(8), []
    for batch, _ in shrinking_batches(20, CPU, lambda _: None, sizes, sizes.shrink):
        seen.append(batch.stop - batch.start)
        sizes.shrink(2)
    assert seen == [8, 2, 2, 2, 2, 2, 2]


def test_no_room_for_one_is_an_error_that_says_so() -> None:
    def work(_: slice) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nmore")

    sizes = _Size(4)
    with pytest.raises(EngineError, match=r"single frame \(CUDA out of memory. Tried") as caught:
        list(shrinking_batches(3, CPU, work, sizes, sizes.shrink))
    assert caught.value.code == "engine.out_of_memory"
    assert sizes.seen == [4, 2, 1]
    assert caught.value.__context__ is None, "the failed try, and what it held, is gone"


def test_other_errors_pass() -> None:
    def work() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run_with_shrinking_batch(CPU, work, lambda: 4, lambda _: None)


def test_what_a_failed_try_held_is_free_before_the_next() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def inner(tensor: torch.Tensor) -> None:
        mine = tensor + 1
        held.append(weakref.ref(mine))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def work() -> bool:
        if held:
            return all(ref() is None for ref in held)
        mine = torch.ones(3)
        held.append(weakref.ref(mine))
        try:
            inner(mine)
        except RuntimeError as error:
            raise RuntimeError("operation failed due to a previous error during capture") from error
        return False

    sizes = _Size(4)
    assert run_with_shrinking_batch(CPU, work, sizes, sizes.shrink)
    assert len(held) == 2
    assert sizes.seen == [4, 2]


def _raised(work: Callable[[], Any]) -> BaseException:
    with pytest.raises(RuntimeError) as caught:
        work()
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),  # the driver's, also for pinned memory
        RuntimeError("CUDA driver error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
        RuntimeError("cuDNN: not enough workspace"),
        MemoryError(),
    ],
    ids=str,
)
def test_forms_of_running_out(error: BaseException) -> None:
    assert is_out_of_memory(error, CPU)


def test_a_real_allocation_that_fails_is_recognised() -> None:
    error = _raised(lambda: torch.empty(1 << 60, dtype=torch.uint8))
    assert is_out_of_memory(error, CPU)


@pytest.mark.parametrize(
    "message",
    [
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "GET was unable to find an engine to execute this computation",
    ],
)
def test_ambiguous_errors_count_on_a_full_device(
    message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory_share", lambda _: 0.01)
    assert is_out_of_memory(RuntimeError(message), GPU)
    monkeypatch.setattr(memory, "free_memory_share", lambda _: 0.5)
    assert not is_out_of_memory(RuntimeError(message), GPU)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: device-side assert triggered"),
        ValueError("out of memory"),
    ],
)
def test_other_faults_are_no_lack_of_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error, CPU)
