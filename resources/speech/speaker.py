"""Speaking a text: the best voice, once for each content, with its times beside the sound.

The same text, engine, version, weights, voice, language, speed and reference give the same stored
sound, whoever asks, in whichever process: what is not there yet is made once, and the others wait.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from resources.home import Home
from resources.marking import current_marker
from resources.settings import current_settings
from resources.speech.marks import marked_sound, speech_mark
from resources.speech.sound_cache import CachedSound, SoundCache
from sunriza_assets.studio.marks.mark import Marker
from sunriza_assets.studio.speech.voices.catalog import all_voices
from sunriza_assets.studio.speech.voices.choice import AUTO, VoiceChoice, choose_voice
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest, Voice
from sunriza_assets.studio.speech.voices.text import checked

if TYPE_CHECKING:
    from sunriza_assets.studio.speech.speech import Speech
    from sunriza_assets.studio.speech.voices.worker import VoiceWorker

__all__ = ["NO_LICENCES", "Speaker", "SpeechFacts", "StoredSpeech", "open_speaker"]

NO_LICENCES: Final[frozenset[str]] = frozenset()
_FORMAT: Final = 1
"""Version of `audio.json` and of what is done to a sound; part of the key."""
_LOUDNESS: Final = "-16 LUFS, -1 dBTP"


@dataclass(frozen=True, slots=True)
class SpeechFacts:
    """How a stored sound was made."""

    key: str
    """SHA-256 of everything it depends on."""
    engine: str
    engine_version: str
    weights: str
    """SHA-256 or revision; `` for an engine without."""
    voice: str
    licence: str
    """Of engine and voice, SPDX where there is an identifier."""
    language: str
    speed: float
    seconds: float
    """Length."""
    rate: int
    """Samples per second."""
    characters: int
    """Of the text, cleaned."""
    text_sha256: str
    reference_sha256: str
    """Of the samples of the voice that was imitated; `` without."""
    offset: float
    """Seconds by which phone times were moved earlier for this voice."""


@dataclass(frozen=True, slots=True)
class StoredSpeech:
    """A spoken text on disk. Open or copy it within a minute: later it may be evicted."""

    wav: Path
    """Mono, 16 bit, at -16 LUFS."""
    times: Path
    """`audio.json`: phones, visemes, words and facts."""
    cached: bool
    """Whether it had been spoken before."""
    why: str
    """Why this voice, a phrase."""
    facts: SpeechFacts
    wall_seconds: float
    """That this call took."""
    cpu_seconds: float
    """That the engine's process took for it; 0 if it had been spoken before."""


def open_speaker(home: Home | None = None) -> "Speaker":
    """A speaker on this home with this process's settings; close it in the end.

    Args:
        home: SUNRIZA_HOME; the environment's if not given.
    """
    home = home or Home.from_environment()
    home.make()  # closed to others, as what comes into it
    limit = current_settings().speech_cache_mb * 1_000_000
    return Speaker(
        home.models,
        SoundCache(home.cache / "speech", limit),
        marker=lambda: current_marker(home),
    )


class Speaker:
    """Speaks texts through workers, one for each engine, started when it is first needed.

    Any thread may call. One text at a time is spoken by an engine; those that are stored already
    wait for nobody.

    Args:
        models: the models folder.
        cache: of what was spoken.
        marker: gives what marks sounds as synthetic, or None where they are not marked.
    """

    def __init__(
        self, models: Path, cache: SoundCache, *, marker: Callable[[], Marker | None] | None = None
    ) -> None:
        self.cache = cache
        self.marker = marker or (lambda: None)
        """Gives what marks sounds, or None."""
        self._models = models
        self._lock = threading.Lock()
        self._workers: dict[str, VoiceWorker] = {}

    def voices(self) -> tuple[Voice, ...]:
        """All voices, installed or not."""
        return all_voices(self._models)

    def choose(
        self, request: SpeakRequest, engine: str = AUTO, licences: frozenset[str] = NO_LICENCES
    ) -> VoiceChoice:
        """The voice that would speak a request, and why.

        Raises:
            SpeechError: no voice can, or the request is out of range.
            ModelError: none that is installed can; the message names the command.
        """
        return choose_voice(checked(request), self.voices(), engine, licences)

    def has(self, request: SpeakRequest, choice: VoiceChoice) -> bool:
        """Whether this was spoken before and is still kept."""
        marked = self.marker() is not None
        return self.cache.has(_key(_identity(checked(request), choice.voice, marked=marked)))

    def speak(
        self,
        request: SpeakRequest,
        engine: str = AUTO,
        licences: frozenset[str] = NO_LICENCES,
    ) -> StoredSpeech:
        """The stored sound of a text; spoken now if it has not been.

        Args:
            request: what to say; it is cleaned and checked here.
            engine: name of an engine, or `auto`.
            licences: identifiers of licences that the caller accepts, as `cpml`.

        Raises:
            SpeechError: the text, language, voice or reference cannot be used; or the engine hung
                or crashed on it.
            ModelError: the voice is not installed; the message names the command.
            StoreError: the cache cannot be written, or another process has made the same sound for
                too long.
        """
        begin = time.perf_counter()
        request = checked(request)
        choice = choose_voice(request, self.voices(), engine, licences)
        marker = self.marker()
        identity = _identity(request, choice.voice, marked=marker is not None)
        key = _key(identity)
        found, speech = self.cache.get(key), None
        if found is None:
            worker = self._worker(choice.voice.engine)
            patience = worker.patience_s(request)
            with self.cache.locked(key, 2 * patience):
                found = self.cache.get(key)  # somebody else was faster
                if found is None:
                    speech = worker.speak(_named(request, choice.voice))
                    found = self._store(key, identity, speech, marker)
        return StoredSpeech(
            wav=found.wav,
            times=found.times,
            cached=speech is None,
            why=choice.reason,
            facts=_facts(found.facts),
            wall_seconds=time.perf_counter() - begin,
            cpu_seconds=speech.cpu_seconds if speech else 0.0,
        )

    def stream(
        self,
        request: SpeakRequest,
        engine: str = AUTO,
        licences: frozenset[str] = NO_LICENCES,
    ) -> Iterator["Speech"]:
        """The parts of a text as they are made, for live playing: not stored, loudness as spoken.

        Raises:
            SpeechError, ModelError: as `speak`.
        """
        request = checked(request)
        choice = choose_voice(request, self.voices(), engine, licences)
        return self._worker(choice.voice.engine).stream(_named(request, choice.voice))

    def close(self) -> None:
        """End the engines' processes."""
        with self._lock:
            workers, self._workers = self._workers, {}
        for worker in workers.values():
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _worker(self, engine: str) -> "VoiceWorker":
        from sunriza_assets.studio.speech.voices.worker import VoiceWorker

        with self._lock:
            if engine not in self._workers:
                self._workers[engine] = VoiceWorker(engine, self._models)
            return self._workers[engine]

    def _store(
        self, key: str, identity: Mapping[str, Any], speech: "Speech", marker: Marker | None
    ) -> CachedSound:
        from sunriza_assets.studio.speech.loudness import normalised
        from sunriza_assets.studio.speech.wav import wav_bytes

        document = _document(key, identity, speech)
        mark = speech_mark(
            speech.engine,
            speech.engine_version,
            document["text_sha256"],
            identity["reference_sha256"],
        )
        wav = wav_bytes(normalised(speech.sound))
        return self.cache.put(key, marked_sound(wav, "wav", mark, marker), document)


def _named(request: SpeakRequest, voice: Voice) -> SpeakRequest:
    return replace(request, voice=voice.name)


def _identity(request: SpeakRequest, voice: Voice, *, marked: bool) -> dict[str, Any]:
    """Everything that a sound depends on, as JSON values."""
    return {
        "format": _FORMAT,
        "loudness": _LOUDNESS,
        "marked": marked,
        "engine": voice.engine,
        "engine_version": voice.engine_version,
        "weights": voice.weights,
        "voice": voice.name,
        "language": request.language,
        "speed": request.speed,
        "text": request.text,
        "reference_sha256": _reference_hash(request.reference),
    }


def _key(identity: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _reference_hash(reference: Path | None) -> str:
    """SHA-256 of a reference's rate and decoded samples; `` without one."""
    if reference is None:
        return ""
    from sunriza_assets.studio.speech.wav import read_wav

    sound = read_wav(reference)
    return hashlib.sha256(str(sound.rate).encode() + sound.samples.tobytes()).hexdigest()


def _document(key: str, identity: Mapping[str, Any], speech: "Speech") -> dict[str, Any]:
    """What `audio.json` says."""
    from sunriza_assets.studio.speech.ipa import segments_of

    facts = {
        name: value
        for name, value in identity.items()
        if name not in {"text", "loudness", "marked"}
    }
    return {
        **facts,
        "key": key,
        "licence": speech.licence,
        "seconds": round(speech.sound.seconds, 6),
        "rate": speech.sound.rate,
        "characters": len(identity["text"]),
        "text_sha256": hashlib.sha256(identity["text"].encode()).hexdigest(),
        "offset": speech.offset,
        "phones": [_timed("ipa", one.ipa, one.start, one.end) for one in speech.phones],
        "visemes": [
            _timed("viseme", one.viseme, one.start, one.end) for one in segments_of(speech.phones)
        ],
        "words": [_timed("text", one.text, one.start, one.end) for one in speech.words],
    }


def _timed(name: str, value: str, start: float, end: float) -> dict[str, Any]:
    return {name: value, "start": round(start, 4), "end": round(end, 4)}


def _facts(document: Mapping[str, Any]) -> SpeechFacts:
    return SpeechFacts(**{name: document[name] for name in SpeechFacts.__dataclass_fields__})
