"""Timed phones and words of a spoken sound. Which visemes they show says `ipa`."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["Phone", "Word", "filled", "is_modifier", "shifted", "split_symbols", "without_stress"]


@dataclass(frozen=True, slots=True)
class Phone:
    """One speech sound in time."""

    ipa: str
    """Symbol of the International Phonetic Alphabet, without stress; `` is silence."""
    start: float
    """Seconds from the start of the sound, corrected by the voice's measured offset."""
    end: float
    """Seconds, >= `start`."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word in time; several, where the voice speaks them as one (`of the`)."""

    text: str
    """The word as it was written."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds, >= `start`."""


_AFFRICATES: Final = ("tʃ", "dʒ", "ts", "dz", "tɕ", "dʑ", "ʈʂ", "ɖʐ")
"""Two symbols that are one sound."""

_DIPHTHONGS: Final = (
    *("aɪ", "aʊ", "ɔɪ", "oʊ", "eɪ", "əʊ", "ɔø", "ɔʏ", "aɪə", "aʊə"),
    *("iə", "eə", "ʊə", "ɪə", "ɛɪ", "œʏ", "ʌʊ", "ɛə", "aːɪ", "uɪ"),
)
_LONGEST_FIRST: Final = tuple(sorted((*_AFFRICATES, *_DIPHTHONGS), key=len, reverse=True))

_STRESS: Final = "ˈˌ'"
_JOINS_BEFORE: Final = "ːˑʰʲʷˠˤ˞ʱˀⁿˡʼ̩̯̃̊"
"""Modifiers: they belong to the symbol before."""


def without_stress(ipa: str) -> str:
    """A symbol without stress marks and ties."""
    return "".join(sign for sign in ipa if sign not in _STRESS and sign not in "͜͡")


def split_symbols(ipa: str) -> list[str]:
    """The single sounds of a string of symbols: `əl` is two, `tʃ`, `aɪ` and `ɔː` are one."""
    rest = without_stress(ipa)
    found: list[str] = []
    while rest:
        length = next((len(unit) for unit in _LONGEST_FIRST if rest.startswith(unit)), 1)
        while length < len(rest) and is_modifier(rest[length]):
            length += 1
        if rest[0].isspace() or (is_modifier(rest[0]) and not found):
            rest = rest[1:]
            continue
        found.append(rest[:length])
        rest = rest[length:]
    return found


def is_modifier(sign: str) -> bool:
    """Whether a symbol changes the one before it: length, aspiration, a combining mark."""
    return sign in _JOINS_BEFORE or unicodedata.combining(sign) != 0


def shifted(phones: Iterable[Phone], seconds: float, length: float) -> tuple[Phone, ...]:
    """Phones moved earlier by so many seconds, from 0 to the sound's length.

    What falls before the start is cut; the time that is left free at the end is silence.

    Args:
        phones: in order of time.
        seconds: >= 0, the voice's measured offset.
        length: of the sound, seconds.
    """
    moved = (
        Phone(one.ipa, max(0.0, one.start - seconds), max(0.0, one.end - seconds)) for one in phones
    )
    return filled((one for one in moved if one.end > one.start), length)


def filled(phones: Iterable[Phone], length: float) -> tuple[Phone, ...]:
    """The same phones covering the sound from 0 to its length: gaps become silence.

    Neighbouring silences are joined, overlaps are cut from the later phone, phones of no length
    are left out.
    """
    whole: list[Phone] = []

    def add(ipa: str, start: float, end: float) -> None:
        if end <= start:
            return
        if whole and not ipa and not whole[-1].ipa:
            whole[-1] = replace(whole[-1], end=end)
        else:
            whole.append(Phone(ipa, start, end))

    now = 0.0
    for phone in phones:
        end = min(phone.end, length)
        add("", now, min(phone.start, length))
        add(phone.ipa, max(now, phone.start), end)
        now = max(now, end)
    add("", now, length)
    return tuple(whole)
