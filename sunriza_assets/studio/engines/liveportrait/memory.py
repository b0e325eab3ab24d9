"""Running out of memory: recognised in all its forms, and answered with half the batch."""

import gc
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import torch

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait.cuda import free_share, give_back

__all__ = ["is_out_of_memory", "shrinking_batches", "within_memory"]

T = TypeVar("T")

_TELLING: Final = (
    "out of memory",  # the driver's word, also for pinned memory, and torch's
    "_alloc_failed",  # CUDNN_STATUS_, CUBLAS_STATUS_, CUFFT_, CUSOLVER_STATUS_
    "allocation_failed",  # CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, and ..._HOST_...
    "cudaerrormemoryallocation",
    "not enough workspace",
    "insufficient workspace",
    "can't allocate memory",  # torch's CPU allocator
    "not enough memory",  # the same on Windows
)
"""Parts of messages that say it, in lower case."""
_AMBIGUOUS: Final = (
    "cudnn_status_internal_error",
    "cudnn_status_execution_failed",
    "cublas_status_not_initialized",  # cublasCreate failed, which allocates
    "cudnn_status_not_initialized",
    "cublas_status_internal_error",
    "unable to find an engine",
    "unable to find a valid cudnn algorithm",
)
"""Parts of messages that may mean it. They count where the device is nearly full."""
_NEARLY_FULL: Final = 0.08
"""Free share of a device's memory below which an ambiguous error is put down to it; cuDNN's largest
workspaces here are some gigabytes."""
_log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException, device: torch.device) -> bool:
    """Whether an error, or one that it came of, means that device or host memory ran out.

    The chain counts because a failed allocation breaks a capture, whose end then raises an error of
    its own.
    """
    if any(_says_out_of_memory(each) for each in _chain(error)):
        return True
    text = str(error).lower()
    ambiguous = isinstance(error, RuntimeError) and any(part in text for part in _AMBIGUOUS)
    return ambiguous and free_share(device) < _NEARLY_FULL


def within_memory(
    device: torch.device,
    work: Callable[[], T],
    size: Callable[[], int],
    shrink: Callable[[int], None],
) -> T:
    """Do some work; where memory runs out, do it again with half the batch.

    What the failed try held is given back first: its traceback keeps the local variables of every
    function it went through alive, and with them the tensors that filled the device.

    Args:
        device: where the work runs.
        work: called until it fits.
        size: the size of a batch now.
        shrink: called with the new size, to let go of what was made for the old one.

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
            _forget(error)
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
        shrink: see `within_memory`.

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

        batch, result = within_memory(device, next_batch, size, shrink)
        yield batch, result
        start = batch.stop


def _says_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in _TELLING)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it came of."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _forget(error: BaseException) -> None:
    """Let go of everything that an error's tracebacks hold."""
    for each in list(_chain(error)):
        traceback.clear_frames(each.__traceback__)
        each.__traceback__ = each.__cause__ = each.__context__ = None
