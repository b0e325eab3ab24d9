"""What is done with inputs: the coach's findings, and clips that are trimmed."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from resources.engines.choice import face_mesh
from sunriza_assets.errors import ParameterError
from sunriza_assets.service.engine.work import Work
from sunriza_assets.studio.inspection import inspect_inputs
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS
from sunriza_assets.studio.media.trim import trim
from sunriza_assets.studio.parameters import resolve

__all__ = ["Inputs"]

_MOST_INSPECTIONS: Final = 8
"""Inspections at work and waiting."""
_MOST_TRIMS: Final = 2
"""Trims at work; none waits."""
_LONGEST_TRIM_S: Final = 11.0
_MICROSECONDS: Final = 1_000_000


class _GivenUpError(Exception):
    """Nobody waits for the result any more."""


class Inputs:
    """Inspects and trims. To be used from one event loop.

    Args:
        work: the threads to do it in.
        models: the folder of model files.
    """

    def __init__(self, work: Work, *, models: Path) -> None:
        self._work = work
        self._models = models

    async def inspect(
        self,
        *,
        portrait: str | None,
        clip: str | None,
        parameters: Mapping[str, Any],
        owner: str | None,
    ) -> list[dict[str, Any]]:
        """Findings of the input coach as JSON values, refusals first."""
        limits = replace(DEFAULT_LIMITS, clip_seconds=resolve(parameters).max_seconds)
        with self._work.room(
            "inspections", _MOST_INSPECTIONS, what="inspections", retry_after_s=5.0
        ):
            findings, _ = await self._work.run(
                self._work.inspect,
                "inspect",
                owner,
                lambda: inspect_inputs(
                    face_mesh(self._models),
                    portrait=None if portrait is None else Path(portrait),
                    clip=None if clip is None else Path(clip),
                    limits=limits,
                ),
                calls=1,
            )
        findings.sort(key=lambda finding: finding.severity != "refuse")
        return [finding.to_dict() for finding in findings]

    async def trim(
        self, *, clip: str, start_s: float, end_s: float, destination: str, owner: str | None
    ) -> int:
        """Cut a clip exactly to the frame in a child process; the number of frames.

        The child is ended when the call is cancelled.
        """
        if not 0 <= start_s < end_s <= start_s + _LONGEST_TRIM_S:  # NaN compares false
            raise ParameterError(
                f"A clip cannot be cut from {start_s} to {end_s} s",
                remedy=f"Give 0 <= start < end, at most {_LONGEST_TRIM_S:g} s apart.",
                code="out_of_range",
            )
        given_up = threading.Event()

        def report(_done: int, _total: int) -> None:
            if given_up.is_set():
                raise _GivenUpError

        def cut() -> int:
            info = trim(
                Path(clip),
                Path(destination),
                start=Fraction(start_s).limit_denominator(_MICROSECONDS),
                max_seconds=Fraction(end_s - start_s).limit_denominator(_MICROSECONDS),
                progress=report,
            )
            return info.frame_count

        async def work() -> int:
            with self._work.room("trims", _MOST_TRIMS, what="trims", retry_after_s=5.0):
                frames, _ = await self._work.run(self._work.trim, "trim", owner, cut, calls=1)
                return frames

        trimming = asyncio.ensure_future(work())
        try:
            # The place is kept until the child has ended, also when nobody waits for it any more.
            return await asyncio.shield(trimming)
        except asyncio.CancelledError:
            given_up.set()
            trimming.add_done_callback(_ignore_error)
            raise


def _ignore_error(work: "asyncio.Future[int]") -> None:
    if not work.cancelled():
        work.exception()
