"""Recovery from running out of memory: detects such errors and retries with half the batch."""

import gc
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import torch

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait.cuda import free_memory_share, give_back

__all__ = ["is_out_of_memory", "run_with_shrinking_batch", "shrinking_batches"]

T = TypeVar("T")

_OUT_OF_MEMORY_MESSAGES: Final = (
    "out of memory",  # the driver's word, also for pinned memory, and torch's
    "_alloc_failed",  # CUDNN_STATUS_, CUBLAS_STATUS_, CUFFT_, CUSOLVER_STATUS_
    "allocation_failed",  # CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, and ..._HOST_...
    "cudaerrormemoryallocation",
    "not enough workspace",
    "insufficient workspace",
    "can't allocate memory",  # torch's CPU allocator
    "not enough memory",  # the same on Windows
)
"""Substrings of out-of-memory messages, lower case."""
_AMBIGUOUS_MESSAGES: Final = (
    "cudnn_status_internal_error",
    "cudnn_status_execution_failed",
    "cublas_status_not_initialized",  # cublasCreate failed, which allocates
    "cudnn_status_not_initialized",
    "cublas_status_internal_error",
    "unable to find an engine",
    "unable to find a valid cudnn algorithm",
)
"""Substrings of messages that may mean it; they count only if the device is nearly full."""
_NEARLY_FULL_SHARE: Final = 0.08
"""Free share of a device's memory below which an ambiguous error counts; cuDNN's largest
workspaces here are some gigabytes."""
_log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException, device: torch.device) -> bool:
    """Whether an error, or one that it came of, means that device or host memory ran out.

    The chain counts because a failed allocation breaks a capture, whose end then raises an error of
    its own.
    """
    if any(_is_out_of_memory_message(each) for each in _error_chain(error)):
        return True
    text = str(error).lower()
    ambiguous = isinstance(error, RuntimeError) and any(
        part in text for part in _AMBIGUOUS_MESSAGES
    )
    return ambiguous and free_memory_share(device) < _NEARLY_FULL_SHARE


def run_with_shrinking_batch(
    device: torch.device,
    work: Callable[[], T],
    size: Callable[[], int],
    shrink: Callable[[int], None],
) -> T:
    """The result of `work`, retried with half the batch whenever memory runs out.

    What the failed try held is given back first: its traceback keeps the local variables of every
    function it went through alive, and with them the tensors that filled the device.

    Args:
        device: where the work runs.
        work: called until it fits.
        size: the size of a batch now.
        shrink: called with the new size; releases what was allocated for the old one.

    Raises:
        EngineError: `out_of_memory`: not even a single item fits.
    """
    while True:
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error, device):
                raise
            reason = str(error).partition("\n")[0]
            _release_tracebacks(error)
        gc.collect()
        give_back(device)
        before = size()
        if before == 1:
            raise EngineError(
                f"The device has not memory enough for a single frame ({reason})",
                remedy="Close what else uses the GPU, or set engine=mesh.",
                code="out_of_memory",
            )
        _log.warning("Out of memory: going on with batches of %d (%s)", before // 2, reason)
        shrink(before // 2)


def shrinking_batches(
    count: int,
    device: torch.device,
    work: Callable[[slice], T],
    size: Callable[[], int],
    shrink: Callable[[int], None],
) -> Iterator[tuple[slice, T]]:
    """Work through `count` items in batches, smaller ones after memory has run out.

    Args:
        count: items in all.
        device: where the work runs.
        work: called with the items of each batch.
        size: the size of a batch now; others may change it, too.
        shrink: see `run_with_shrinking_batch`.

    Yields:
        Each batch and its result.

    Raises:
        EngineError: `out_of_memory`: there is not memory enough for a single item.
    """
    start = 0
    while start < count:

        def next_batch(start: int = start) -> tuple[slice, T]:
            batch = slice(start, min(start + size(), count))
            return batch, work(batch)

        batch, result = run_with_shrinking_batch(device, next_batch, size, shrink)
        yield batch, result
        start = batch.stop


def _is_out_of_memory_message(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _OUT_OF_MEMORY_MESSAGES)


def _error_chain(error: BaseException) -> Iterator[BaseException]:
    """The error, its causes and contexts."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _release_tracebacks(error: BaseException) -> None:
    """Release the local variables that an error's tracebacks keep alive."""
    for each in list(_error_chain(error)):
        traceback.clear_frames(each.__traceback__)
        each.__traceback__ = each.__cause__ = each.__context__ = None
