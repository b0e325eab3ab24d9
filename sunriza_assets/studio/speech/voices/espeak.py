"""The engine `espeak`: eSpeak NG, any of a hundred languages, no weights, robotic.

eSpeak NG is GPL-3. This module loads its library, so only a voice worker's process makes an
`Espeak`; the rest of the system never does. The library serves one text at a time and keeps its
state in globals: one instance a process.
"""

import ctypes
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from sunriza_assets.errors import ModelError, SpeechError
from sunriza_assets.studio.speech.phones import (
    Phone,
    Word,
    filled,
    split_symbols,
)
from sunriza_assets.studio.speech.sound import Sound
from sunriza_assets.studio.speech.speech import Speech
from sunriza_assets.studio.speech.voices.espeak_data import (
    LICENCE,
    STANDARD,
    espeak_version,
    find_espeak,
    language_file,
    variants,
)
from sunriza_assets.studio.speech.voices.protocol import MAX_SECONDS, SpeakRequest

__all__ = ["Espeak"]

_RETRIEVAL: Final = 1
_PHONEME_EVENTS_IPA_NO_EXIT: Final = 0x1 | 0x2 | 0x8000
_UTF8_END_PAUSE: Final = 0x1 | 0x1000
_RATE_PARAMETER: Final = 1
_WORDS_A_MINUTE: Final = 175
_LIST_END, _WORD, _PHONEME = 0, 1, 7
_IPA: Final = 0x02


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("string", ctypes.c_char * 8),  # a union: for phonemes UTF-8, cut at NUL
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """The `VoiceEngine` of eSpeak NG; also turns text into IPA for engines that read it."""

    name: Final = "espeak"

    def __init__(self) -> None:
        """Load the library.

        Raises:
            ModelError: its package is not installed, or its library cannot be loaded.
        """
        place = find_espeak()
        self._data = place.data
        self._version = espeak_version()
        try:
            self._library = ctypes.CDLL(str(place.library))
        except OSError as error:
            raise ModelError(
                f"eSpeak NG's library cannot be loaded: {error}",
                where=place.library,
                remedy="Install it anew: pip install --force-reinstall espeakng-loader",
                code="damaged",
            ) from error
        self.rate = int(
            self._library.espeak_Initialize(
                _RETRIEVAL, 0, str(place.data).encode(), _PHONEME_EVENTS_IPA_NO_EXIT
            )
        )
        if self.rate <= 0:
            raise ModelError("eSpeak NG cannot read its data", where=place.data, code="damaged")
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._samples: list[Any] = []
        self._count = 0
        self._events: list[tuple[int, int, int, str]] = []
        self._callback = _Callback(self._collect)  # kept: the library calls it later
        self._library.espeak_SetSynthCallback(self._callback)

    def stream(self, request: SpeakRequest) -> Iterator[Speech]:
        """The whole text as one part: a second of sound takes milliseconds.

        Raises:
            SpeechError: there is no such language or voice.
        """
        voice = request.voice or STANDARD
        self.select(request.language, voice)
        self._library.espeak_SetParameter(
            _RATE_PARAMETER, round(_WORDS_A_MINUTE * request.speed), 0
        )
        self._samples.clear()
        self._events.clear()
        self._count = 0
        text = request.text.encode()
        failed = self._library.espeak_Synth(
            text, len(text) + 1, 0, 0, 0, _UTF8_END_PAUSE, None, None
        )
        if failed or self._library.espeak_Synchronize():
            raise SpeechError("eSpeak NG cannot speak this text", code="engine")
        if self._count > MAX_SECONDS * self.rate:
            raise SpeechError(
                f"The text takes more than {MAX_SECONDS:.0f} s to say",
                remedy="Send it in parts.",
                code="too_long",
            )
        samples = np.concatenate([*self._samples, np.zeros(0, np.int16)])
        sound = Sound((samples / 32768).astype(np.float32), self.rate)
        phones = self._phones(sound.seconds)
        yield Speech(
            sound=sound,
            phones=phones,
            words=self._words(request.text, phones, sound.seconds),
            text=request.text,
            language=request.language,
            engine=self.name,
            engine_version=self._version,
            weights="",
            voice=voice,
            licence=LICENCE,
        )

    def phonemes(self, text: str, language: str) -> list[tuple[str, str]]:
        """The clauses of a text: IPA with stress and spaces, and the text that each was made of.

        The library has read a character or two of the next clause when it ends one.

        Args:
            text: clean text.
            language: BCP 47, or the name of one of eSpeak NG's voices.

        Raises:
            SpeechError: there is no such language.
        """
        self.select(language, STANDARD)
        source = ctypes.create_string_buffer(text.encode())
        begin = ctypes.addressof(source)
        at = ctypes.c_void_p(begin)
        clauses = []
        while at.value:
            before = at.value - begin
            said = self._library.espeak_TextToPhonemes(ctypes.byref(at), 1, _IPA)
            after = at.value - begin if at.value else len(source.value)
            read = source.value[before:after].decode(errors="ignore")
            clauses.append((said.decode(errors="replace") if said else "", read))
        return clauses

    def select(self, language: str, variant: str) -> None:
        """Speak this language with this variant of the voice from now on.

        Raises:
            SpeechError: there is no such language or variant.
        """
        if variant != STANDARD and variant not in variants():
            raise SpeechError(
                f"eSpeak NG has no voice {variant!r}",
                remedy=f"It has {STANDARD}, {', '.join(variants())}.",
                code="voice",
            )
        file = language_file(language)
        if file is None:
            raise SpeechError(
                f"eSpeak NG does not speak {language!r}",
                remedy="`sunriza voices` lists languages.",
                code="language",
            )
        name = file if variant == STANDARD else f"{file}+{variant}"
        if self._library.espeak_SetVoiceByName(name.encode()):
            raise SpeechError(f"eSpeak NG cannot load its voice {name}", code="engine")

    def _collect(self, wave: Any, count: int, events: Any) -> int:
        """What the library calls with pieces of sound; 1 stops it."""
        if wave and count > 0:
            self._samples.append(np.ctypeslib.as_array(wave, (count,)).copy())
            self._count += count
        index = 0
        while events and events[index].type != _LIST_END:
            event = events[index]
            index += 1
            if event.type in {_WORD, _PHONEME}:
                said = event.string if event.type == _PHONEME else b""
                self._events.append(
                    (
                        event.type,
                        event.text_position - 1,
                        event.sample,
                        said.decode(errors="ignore"),
                    )
                )
        return int(self._count > MAX_SECONDS * self.rate)

    def _phones(self, seconds: float) -> tuple[Phone, ...]:
        starts = [
            (sample / self.rate, said) for kind, _, sample, said in self._events if kind == _PHONEME
        ]
        ends = [*(start for start, _ in starts[1:]), seconds]
        phones: list[Phone] = []
        for (start, said), end in zip(starts, ends, strict=False):
            parts = split_symbols(said)
            width = (end - start) / max(1, len(parts))
            phones += (
                Phone(part, start + i * width, start + (i + 1) * width)
                for i, part in enumerate(parts)
            )
        return filled(phones, seconds)

    def _words(self, text: str, phones: tuple[Phone, ...], seconds: float) -> tuple[Word, ...]:
        """Words as written: the events' positions, moved to whole words of the text."""
        tokens = words_of(text)
        begins: list[tuple[int, float]] = []  # (index of the token, start)
        for kind, position, sample, _ in self._events:
            if kind != _WORD:
                continue
            later = (i for i, (_, _, end) in enumerate(tokens) if position < end)
            token = next(later, len(tokens) - 1)
            if not begins or token > begins[-1][0]:
                begins.append((token, sample / self.rate))
        ends = [*begins[1:], (len(tokens), seconds)]
        found = []
        for (token, start), (after, limit) in zip(begins, ends, strict=False):
            said = [one for one in phones if one.ipa and start <= one.start < limit]
            if said:
                named = " ".join(word for word, _, _ in tokens[token:after])
                found.append(Word(named, said[0].start, said[-1].end))
        return tuple(found)


def words_of(text: str) -> list[tuple[str, int, int]]:
    """(word without the punctuation around it, first character, end) of each word of a text.

    Signs that are spoken (`€`, `+`) are words.
    """
    found = []
    at = 0
    for piece in text.split():
        start = text.index(piece, at)
        at = start + len(piece)
        bare = piece.strip("".join({sign for sign in piece if not sign.isalnum()}))
        if bare or any(unicodedata.category(sign)[0] == "S" for sign in piece):
            found.append((bare or piece, start, at))
    return found
