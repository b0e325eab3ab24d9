"""Speaking for requests: the engine process's part of `/tts`."""

import asyncio
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from resources.orders.spoken import SpeechForecast, SpeechWish
from resources.speech.accounts import ledger_facts, sound_of
from sunriza_assets.atomic import make_folder, replacing, store_errors
from sunriza_assets.costs.calls import CallBook
from sunriza_assets.costs.devices import cpu
from sunriza_assets.costs.spoken import SPEECH
from sunriza_assets.errors import SpeechError
from sunriza_assets.service.engine.work import Work
from sunriza_assets.service.monitor.metrics import count_speech

if TYPE_CHECKING:
    from resources.speech.speaker import Speaker, StoredSpeech
    from sunriza_assets.studio.marks.mark import Marker

__all__ = ["Speaking"]

_MOST_PENDING: Final = 32
"""Texts that are being spoken or wait; more are refused."""
_THREADS: Final = 8
"""Threads that wait for engines; an engine speaks one text at a time, and stored sounds wait for
none of them."""
_SAMPLE_S: Final = (3.0, 20.0)
"""Shortest and longest sample of a voice that is imitated, s."""
_CHARACTERS_PER_S: Final = 14.0
"""About as fast as all voices speak."""
_PRIOR_FACTORS: Final[Mapping[str, float]] = {
    "espeak": 0.02, "piper": 0.5, "kokoro": 1.5, "pocket": 1.0, "xtts": 3.0,
}  # fmt: skip
"""Seconds of work for a second of sound, before any was measured here."""
_UNKNOWN_FACTOR: Final = 1.5
_SMOOTHING: Final = 0.3


class Speaking:
    """Speaks texts, each content once. To be used from one event loop.

    Args:
        speaker: makes and keeps the sounds.
        book: what is spoken is counted there.
        work: bounds what is pending, and has the threads for decoding and encoding.
        outputs: the folder of finished files.
    """

    def __init__(self, speaker: "Speaker", book: CallBook, work: Work, outputs: Path) -> None:
        self._speaker = speaker
        self._book = book
        self._work = work
        self._outputs = outputs
        self._threads = ThreadPoolExecutor(_THREADS, "speak")
        self._factors = dict(_PRIOR_FACTORS)
        self._flights: dict[str, asyncio.Task[dict[str, Any]]] = {}
        make_folder(outputs)

    async def speak(
        self,
        *,
        wish: Mapping[str, Any],
        owner: str,
        reference: str | None,
        patience_s: float | None,
    ) -> dict[str, Any]:
        """Speak a text into the outputs: `SpokenSound`, or `SpeechForecast` beyond the patience.

        Equal wishes of an owner that are under way at once are one.
        """
        asked = SpeechWish.from_dict(wish)
        if patience_s is not None:
            expected = await self._forecast(asked)
            if expected.seconds > patience_s:
                return asdict(expected)
        if reference is not None:  # a path says nothing of what is in it
            return await self._published(asked, owner, Path(reference))
        key = json.dumps([owner, asked.to_dict()])
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(self._published(asked, owner, None))
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key))
        return await asyncio.shield(flight)  # who leaves does not take it from the others

    async def speak_to(
        self, *, wish: Mapping[str, Any], destination: str, audio_format: str, owner: str
    ) -> dict[str, Any]:
        """Speak a text into a file of any format: `SpokenSound` without an id."""
        target = Path(destination)
        with self._room():
            stored = await self._spoken(SpeechWish.from_dict(wish), owner, None)
            if audio_format == "wav":
                await asyncio.to_thread(_link, stored.wav, target)
            else:
                await self._work.run(
                    self._work.any,
                    SPEECH,
                    owner,
                    lambda: _transcoded(stored, target, audio_format, self._speaker.marker()),
                )
        return sound_of(stored, "").to_dict()

    async def speech_forecast(self, *, wish: Mapping[str, Any]) -> dict[str, Any]:
        """What speaking a text will probably take: `SpeechForecast`."""
        return asdict(await self._forecast(SpeechWish.from_dict(wish)))

    async def voices(self) -> list[dict[str, Any]]:
        """All voices as JSON values."""
        found = await asyncio.to_thread(self._speaker.voices)
        return [{**asdict(voice), "languages": list(voice.languages)} for voice in found]

    def close(self) -> None:
        """End the engines."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._speaker.close()

    def _room(self) -> AbstractContextManager[None]:
        return self._work.room("speech", _MOST_PENDING, what="texts", retry_after_s=5.0)

    async def _forecast(self, asked: SpeechWish) -> SpeechForecast:
        """By what the engine took before; nothing for what is kept already.

        Raises:
            SpeechError, ModelError: no voice can speak it.
        """
        request = asked.request()

        def look() -> tuple[str, bool]:
            choice = self._speaker.choose(request, asked.engine, asked.licences)
            return choice.voice.engine, self._speaker.has(request, choice)

        engine, cached = await asyncio.to_thread(look)
        sound_s = len(asked.text) / _CHARACTERS_PER_S / asked.speed
        factor = self._factors.get(engine, _UNKNOWN_FACTOR)
        return SpeechForecast(0.0 if cached else round(sound_s * factor, 3), engine, cached)

    async def _published(
        self, asked: SpeechWish, owner: str, reference: Path | None
    ) -> dict[str, Any]:
        with self._room():
            stored = await self._spoken(asked, owner, reference)
            audio_id = secrets.token_hex(16)
            await asyncio.to_thread(self._publish, stored, audio_id)
        return sound_of(stored, audio_id).to_dict()

    def _publish(self, stored: "StoredSpeech", audio_id: str) -> None:
        """Give a kept sound one more name among the outputs; the sound last, it is looked for."""
        _link(stored.times, self._outputs / f"{audio_id}.json")
        _link(stored.wav, self._outputs / f"{audio_id}.wav")

    async def _spoken(
        self, asked: SpeechWish, owner: str, reference: Path | None
    ) -> "StoredSpeech":
        """Speak a text, or find it spoken; that is booked and counted."""
        with tempfile.TemporaryDirectory(prefix="sunriza-") as scratch:
            request = asked.request()
            if reference is not None:
                sample, _ = await self._work.run(
                    self._work.any, SPEECH, owner, lambda: _sample(reference, Path(scratch))
                )
                request = replace(request, reference=sample)
            stored = await asyncio.get_running_loop().run_in_executor(
                self._threads,
                lambda: self._speaker.speak(request, asked.engine, asked.licences),
            )
        self._account(stored, owner)
        return stored

    def _account(self, stored: "StoredSpeech", owner: str) -> None:
        """Book a sound; one that was kept costs nothing."""
        facts, made = stored.facts, not stored.cached
        self._book.add(
            SPEECH,
            owner,
            device=cpu(),
            wall_s=stored.wall_seconds if made else 0.0,
            cpu_s=stored.cpu_seconds if made else 0.0,
            engine=facts.engine,
            engine_version=facts.engine_version,
            spoken=ledger_facts(stored),
        )
        count_speech(
            engine=facts.engine, cached=stored.cached, sound_s=facts.seconds,
            took_s=stored.wall_seconds,
        )  # fmt: skip
        if made and facts.seconds > 0:
            former = self._factors.get(facts.engine, _UNKNOWN_FACTOR)
            measured = stored.wall_seconds / facts.seconds
            self._factors[facts.engine] = former + _SMOOTHING * (measured - former)


def _sample(source: Path, folder: Path) -> Path:
    """An uploaded sample of a voice as the WAV file that engines read.

    Raises:
        MediaError: it is no sound, damaged, or breaks a limit.
        SpeechError: `speech.sample` it is too short or too long.
    """
    from sunriza_assets.studio.speech.sound_file import read_sound
    from sunriza_assets.studio.speech.wav import write_wav

    sound = read_sound(source)
    shortest, longest = _SAMPLE_S
    if not shortest <= sound.seconds <= longest:
        raise SpeechError(
            f"The sample has {sound.seconds:.1f} s",
            remedy=f"Send {shortest:g} to {longest:g} s of one voice.",
            code="sample",
        )
    path = folder / "sample.wav"
    write_wav(path, sound)
    return path


def _transcoded(
    stored: "StoredSpeech", target: Path, audio_format: str, marker: "Marker | None"
) -> None:
    """Write a kept sound in another format, with a mark of its own where that bears one.

    Raises:
        ParameterError: there is no such format.
        StoreError: it cannot be written or marked.
    """
    from resources.speech.marks import marked_sound, speech_mark
    from sunriza_assets.studio.speech.encoding import transcode

    transcode(stored.wav, target, audio_format)
    facts = stored.facts
    mark = speech_mark(
        facts.engine, facts.engine_version, facts.text_sha256, facts.reference_sha256
    )
    with store_errors("read", target):
        plain = target.read_bytes()
    marked = marked_sound(plain, audio_format, mark, marker)
    if marked != plain:
        with replacing(target) as file:
            file.write(marked)


def _link(source: Path, target: Path) -> None:
    """One more name for a file; a copy where the disk has no links.

    Raises:
        StoreError: it cannot be read or written (a full disk, too).
    """
    try:
        os.link(source, target)
    except OSError:
        with store_errors("copy", source), source.open("rb") as data, replacing(target) as file:
            shutil.copyfileobj(data, file)
