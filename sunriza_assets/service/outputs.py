"""Outputs: finished pictures, clips and sounds that callers fetch by name, for a day.

An output is a file of one folder and a row of the order store that says whose it is and until when.
Names are random; whatever else is asked for is not looked up. A file without a row was never given
to anybody and goes after an hour, one with a row after its time.
"""

import asyncio
import logging
import os
import re
import secrets
import shutil
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from resources.orders.spoken import object_name
from resources.orders.store import OrderStore
from resources.storage.objects import MediaStorage
from sunriza_assets.atomic import replacing, store_errors
from sunriza_assets.errors import AccessError, StoreError, SunrizaError

__all__ = [
    "KEEP_OUTPUTS_S",
    "MEDIA_TYPES",
    "OUTPUT_NAME",
    "OpenOutput",
    "OutputFolder",
    "is_output_name",
    "keep_outputs_swept",
    "new_output_name",
    "no_such_output",
    "output_expiry",
]

OUTPUT_NAME: Final = r"[0-9a-f]{32}\.(?:png|jpg|webp|mp4|wav|mp3|json)"
"""Regular expression of all names."""
MEDIA_TYPES: Final = MappingProxyType(
    {
        "png": "image/png",
        "jpg": "image/jpeg",
        "webp": "image/webp",
        "mp4": "video/mp4",
        "wav": "audio/wav",
        "mp3": "audio/mpeg",
        "json": "application/json",
    }
)
"""Suffix -> media type."""
KEEP_OUTPUTS_S: Final = 86_400
"""How long outputs stay."""
FREE_BYTES: Final = 1_000_000_000
"""Below so much free disk nothing more is made."""
MOST_BYTES: Final = 20_000_000_000
"""How much all outputs may take; beyond it the oldest go before their time."""
_UNCLAIMED_S: Final = 3600.0
_SWEEP_S: Final = 300.0
_PAGE: Final = 500
_log = logging.getLogger(__name__)


def is_output_name(text: str) -> bool:
    """Whether a text has the form of an output's name."""
    return re.fullmatch(OUTPUT_NAME, text) is not None


def new_output_name(suffix: str) -> str:
    """A name that nobody can guess.

    Args:
        suffix: a key of `MEDIA_TYPES`.
    """
    return f"{secrets.token_hex(16)}.{suffix}"


def no_such_output() -> AccessError:
    """The error for an output that is not there, or is somebody else's."""
    return AccessError("There is no such output", code="missing")


@dataclass(frozen=True, slots=True)
class OpenOutput:
    """An output that is open for reading."""

    descriptor: int
    """To be closed by the caller."""
    facts: os.stat_result
    """Size and time of the file that the descriptor reads."""
    media_type: str
    """By its suffix."""


class OutputFolder:
    """The files of all outputs. Nothing outside the folder is ever opened, nor through a link.

    Args:
        folder: made where missing, for this user alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """Make the folder where it is missing."""
        with store_errors("make", self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def check_room(self) -> None:
        """Refuse to make anything on a disk that is nearly full.

        Raises:
            StoreError: `full`.
        """
        self.make()
        with store_errors("read", self.folder):
            free = shutil.disk_usage(self.folder).free
        if free < FREE_BYTES:
            raise StoreError(
                "There is no room for results", where=self.folder, remedy="Try again later.",
                code="full",
            )  # fmt: skip

    def open(self, name: str) -> OpenOutput | None:
        """Open an output; None if there is no such regular file."""
        if not is_output_name(name):
            return None
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(name, flags, dir_fd=folder)
            finally:
                os.close(folder)
        except OSError:
            return None
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            os.close(descriptor)
            return None
        return OpenOutput(descriptor, facts, MEDIA_TYPES[name.rpartition(".")[2]])

    def remove(self, name: str) -> bool:
        """Remove an output's file; whether there was one."""
        if not is_output_name(name):
            return False
        try:
            with store_errors("remove", self.folder / name):
                (self.folder / name).unlink()
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError | IsADirectoryError):
                return False
            raise
        return True

    def copy_in(self, name: str, source: Path) -> None:
        """Put a copy of a file in under an output's name.

        Raises:
            StoreError: it cannot be read or written (a full disk, too).
        """
        if not is_output_name(name):
            raise ValueError(f"{name!r} is no output's name")
        self.make()
        with (
            store_errors("copy", source),
            source.open("rb") as data,
            replacing(self.folder / name) as file,
        ):
            shutil.copyfileobj(data, file)

    def sweep(
        self,
        orders: OrderStore,
        *,
        storage: MediaStorage | None = None,
        most_bytes: int = MOST_BYTES,
        unclaimed_s: float = _UNCLAIMED_S,
    ) -> int:
        """Remove outputs whose time is over, and files that belong to nobody; how many.

        Args:
            orders: knows owners and times.
            storage: where outputs of orders are kept.
            most_bytes: beyond it the oldest go, too.
            unclaimed_s: age at which a file that nobody owns goes.

        Raises:
            StoreError: the store or the folder cannot be read.
        """
        removed = 0
        while expired := orders.expired_outputs(_PAGE):
            for one in expired:
                # Before its row: a kill in between leaves it to the next sweep.
                self.remove(one.name)
                if one.order_id is not None and storage is not None:
                    storage.delete(object_name(one.order_id, one.name))
                orders.remove_output(one.name)
            removed += len(expired)
        total, now = 0, time.time()
        for name, facts in self._newest_first():
            total += facts.st_size
            # Not the time of its content: it may be one more name for a picture of yesterday.
            old = now - facts.st_ctime > unclaimed_s
            known = orders.output(name) if old or total > most_bytes else None
            if (old and known is None) or total > most_bytes:
                self.remove(name)
                if known is None or known.order_id is None:  # else it is fetched again
                    orders.remove_output(name)
                removed += 1
        return removed

    def _newest_first(self) -> list[tuple[str, os.stat_result]]:
        found = []
        with (
            store_errors("read", self.folder),
            suppress(FileNotFoundError),  # nothing was ever made
            os.scandir(self.folder) as entries,
        ):
            for entry in entries:
                if is_output_name(entry.name):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        found.append((entry.name, entry.stat(follow_symlinks=False)))
        return sorted(found, key=lambda one: one[1].st_ctime, reverse=True)


async def keep_outputs_swept(
    folder: OutputFolder, orders: OrderStore, storage: MediaStorage
) -> None:
    """Sweep now and every five minutes, until cancelled."""
    while True:
        try:
            await asyncio.to_thread(folder.sweep, orders, storage=storage)
        except SunrizaError as error:  # the next sweep tries again
            _log.warning("Outputs could not be swept: %s", error.message)
        await asyncio.sleep(_SWEEP_S)


def output_expiry(seconds: float = KEEP_OUTPUTS_S) -> datetime:
    """When an output that is made now goes."""
    return datetime.now(UTC) + timedelta(seconds=seconds)
