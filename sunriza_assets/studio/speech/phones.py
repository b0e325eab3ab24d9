"""Timed phones and words of a spoken sound, and the viseme that each phone shows."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

__all__ = [
    "DIPHTHONGS",
    "SYMBOLS",
    "Phone",
    "TimedViseme",
    "Word",
    "filled",
    "shifted",
    "split_symbols",
    "viseme_of",
    "visemes_of",
    "without_stress",
]


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


@dataclass(frozen=True, slots=True)
class TimedViseme:
    """One of the twelve mouth shapes in time."""

    viseme: str
    """Name, as in `expression.visemes.VISEMES`."""
    start: float
    """Seconds from the start of the sound."""
    end: float
    """Seconds, >= `start`."""


def _table(rows: Mapping[str, str]) -> dict[str, str]:
    return {symbol: viseme for viseme, symbols in rows.items() for symbol in symbols.split()}


_SINGLE: Final[Mapping[str, str]] = _table(
    {
        "AI": "a ɑ æ ʌ ɐ ɒ ɶ",
        "E": "e ɛ i ɪ ᵻ ə ᵊ ɘ ɤ ɵ ɯ ɨ j h ɦ ħ ʕ ʔ k ɡ g ŋ x ɣ χ q ɢ ɴ ç ʝ c ɟ ɲ ɰ ʎ",
        "U": "u ʊ ʉ y ʏ ø ɥ",
        "O": "o ɔ œ ɞ",
        "MBP": "p b m ʙ ɓ ɸ β",
        "FV": "f v ʋ ɱ ⱱ",
        "L": "l t d n ɾ ɫ ʈ ɖ ɗ ɳ ɭ ɺ ɬ ɮ ʟ",
        "WQ": "w ʍ",
        "R": "ɹ r ɻ ɽ ɚ ɝ ɜ ʁ ʀ",
        "CH": "ʃ ʒ s z ʂ ʐ ɕ ʑ ɧ ʧ ʤ ʦ ʣ ʨ ʥ",
        "TH": "θ ð",
    }
)
"""Symbol -> viseme: what the lips show, not where the tongue is."""

SYMBOLS: Final = frozenset(_SINGLE)
"""Every symbol that the table knows."""

_AFFRICATES: Final = ("tʃ", "dʒ", "ts", "dz", "tɕ", "dʑ", "ʈʂ", "ɖʐ")
"""Two symbols that are one sound; they show CH."""

DIPHTHONGS: Final = (
    *("aɪ", "aʊ", "ɔɪ", "oʊ", "eɪ", "əʊ", "ɔø", "ɔʏ", "aɪə", "aʊə"),
    *("iə", "eə", "ʊə", "ɪə", "ɛɪ", "œʏ", "ʌʊ", "ɛə", "aːɪ", "uɪ"),
)
"""Vowels that glide: the first symbol's shape for 60 % of the time, then the second's."""
_FIRST_SHARE: Final = 0.6

_STRESS: Final = "ˈˌ'"
_JOINS_BEFORE: Final = "ːˑʰʲʷˠˤ˞ʱˀⁿˡʼ̩̯̃̊"
"""Modifiers: they belong to the symbol before."""
_NEUTRAL: Final = "E"


def without_stress(ipa: str) -> str:
    """A symbol without stress marks and ties."""
    return "".join(sign for sign in ipa if sign not in _STRESS and sign not in "͜͡")


def split_symbols(ipa: str) -> list[str]:
    """The single sounds of a string of symbols: `əl` is two, `tʃ`, `aɪ` and `ɔː` are one."""
    rest = without_stress(ipa)
    found: list[str] = []
    while rest:
        length = next((len(unit) for unit in _LONGEST_FIRST if rest.startswith(unit)), 1)
        while length < len(rest) and _is_modifier(rest[length]):
            length += 1
        if rest[0].isspace() or (_is_modifier(rest[0]) and not found):
            rest = rest[1:]
            continue
        found.append(rest[:length])
        rest = rest[length:]
    return found


_LONGEST_FIRST: Final = tuple(sorted((*_AFFRICATES, *DIPHTHONGS), key=len, reverse=True))


def viseme_of(ipa: str) -> str:
    """The viseme of one sound (of a diphthong: its first half); Rest for silence, E if unknown."""
    plain = _plain(ipa)
    if not plain:
        return "Rest"
    if plain.startswith(_AFFRICATES):
        return "CH"
    return _SINGLE.get(plain[0], _NEUTRAL)


def visemes_of(phones: Iterable[Phone]) -> Iterator[TimedViseme]:
    """The visemes that phones show, in the order of time; equal neighbours are joined."""
    last: TimedViseme | None = None
    for shown in _each(phones):
        if last is not None and last.viseme == shown.viseme and last.end == shown.start:
            last = replace(last, end=shown.end)
            continue
        if last is not None:
            yield last
        last = shown
    if last is not None:
        yield last


def _each(phones: Iterable[Phone]) -> Iterator[TimedViseme]:
    for phone in phones:
        plain = _plain(phone.ipa)
        if plain not in _GLIDES:
            yield TimedViseme(viseme_of(plain), phone.start, phone.end)
            continue
        middle = phone.start + _FIRST_SHARE * (phone.end - phone.start)
        yield TimedViseme(viseme_of(plain[0]), phone.start, middle)
        yield TimedViseme(viseme_of(plain[-1]), middle, phone.end)


_GLIDES: Final = frozenset(one.replace("ː", "") for one in DIPHTHONGS)


def _plain(ipa: str) -> str:
    """Base symbols alone: no stress, no length, no diacritics."""
    parts = unicodedata.normalize("NFD", without_stress(ipa))
    return "".join(sign for sign in parts if not _is_modifier(sign))


def _is_modifier(sign: str) -> bool:
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
