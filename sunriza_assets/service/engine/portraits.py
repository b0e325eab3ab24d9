"""Portraits that are prepared: decoded, their face found, ready to be drawn with any expression."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final

from sunriza_assets.studio.contracts.engine import PreparedPortrait

__all__ = ["PreparedPortraits", "ReadyPortrait"]

_MOST: Final = 32
_MOST_PIXELS: Final = 24_000_000
"""A prepared portrait of the mesh takes 16 to 27 bytes a pixel, so these take 600 MB."""


@dataclass(frozen=True, slots=True)
class ReadyPortrait:
    """A prepared portrait and what preparing it took."""

    portrait: PreparedPortrait
    """Draws expressions."""
    identity: Hashable
    """The picture at the size it was prepared at, and all that matters for preparing it."""
    pixels: int
    """Pixels of its picture."""
    decode_s: float
    """Seconds of decoding the file."""
    prepare_s: float
    """Seconds of finding and analysing the face."""


class PreparedPortraits:
    """The portraits used last, each prepared once however many requests wait for it.

    To be used from one event loop. Only portraits that could be prepared are kept.

    Args:
        most: portraits.
        most_pixels: pixels of all of them.
    """

    def __init__(self, *, most: int = _MOST, most_pixels: int = _MOST_PIXELS) -> None:
        self._most = most
        self._most_pixels = most_pixels
        self._ready: OrderedDict[Hashable, ReadyPortrait] = OrderedDict()
        self._coming: dict[Hashable, asyncio.Task[ReadyPortrait]] = {}

    async def get(
        self, key: Hashable, prepare: Callable[[], Awaitable[ReadyPortrait]]
    ) -> tuple[ReadyPortrait, bool]:
        """The portrait of a key, and whether it was prepared already.

        Args:
            key: the picture and all that matters for preparing it.
            prepare: does so, if nobody has.
        """
        if (known := self._ready.get(key)) is not None:
            self._ready.move_to_end(key)
            return known, True
        task = self._coming.get(key)
        if task is None:
            task = asyncio.ensure_future(prepare())
            self._coming[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        # Whoever asked first may give up; others still wait.
        return await asyncio.shield(task), False

    def find(self, identity: Hashable) -> ReadyPortrait | None:
        """A portrait by its identity: several keys may lead to one."""
        return next((one for one in self._ready.values() if one.identity == identity), None)

    def _finished(self, key: Hashable, task: "asyncio.Future[ReadyPortrait]") -> None:
        del self._coming[key]
        if task.cancelled() or task.exception() is not None:
            return
        self._ready[key] = task.result()
        while len(self._ready) > 1 and (
            len(self._ready) > self._most or self._pixels > self._most_pixels
        ):
            self._ready.popitem(last=False)

    @property
    def _pixels(self) -> int:
        return sum(one.pixels for one in self._ready.values())
