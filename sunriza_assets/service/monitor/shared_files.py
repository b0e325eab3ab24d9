"""Where the processes of one supervisor share what they count: files that each maps into memory.

A mapped file on a full disk ends its process by SIGBUS, so the files lie in a file system that is
memory itself where there is one (Linux's `/dev/shm`). Nothing in them is kept.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sunriza_assets.service.engine_wire import make_private_folder

__all__ = ["forget_process", "shared_metrics"]

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder in it is private, and is checked
_MIN_FREE_BYTES: Final = 32_000_000
"""Room below which the memory is not used: a process maps a megabyte or two."""


@contextmanager
def shared_metrics(service_folder: Path) -> Iterator[Path]:
    """An empty private folder for the metrics of this process's children; it goes with the block.

    Args:
        service_folder: `SUNRIZA_HOME/service`; names the folder, or holds it where no file system
            is memory.

    Raises:
        StoreError: the folder cannot be made, or is somebody else's.
    """
    folder = _place(service_folder.absolute())
    shutil.rmtree(folder, ignore_errors=True)
    make_private_folder(folder)
    os.environ[_VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop(_VARIABLE, None)
        shutil.rmtree(folder, ignore_errors=True)


def forget_process(process: int) -> None:
    """Drop the gauges of a process that has ended."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(process)


def _place(service_folder: Path) -> Path:
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK | os.X_OK)
    if usable and shutil.disk_usage(_MEMORY).free >= _MIN_FREE_BYTES:
        name = hashlib.sha256(os.fsencode(service_folder)).hexdigest()[:16]
        return _MEMORY / f"sunriza-{os.getuid()}-{name}"
    return service_folder / "metrics"
