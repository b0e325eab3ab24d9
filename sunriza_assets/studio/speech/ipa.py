"""Which visemes a phone shows: symbols of the International Phonetic Alphabet as lips see them."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from sunriza_assets.studio.expression.visemes import ARPABET
from sunriza_assets.studio.speech.phones import Phone

__all__ = ["Segment", "ShownViseme", "segments_of", "visemes_of", "visemes_of_arpabet"]


@dataclass(frozen=True, slots=True)
class ShownViseme:
    """One of the visemes that a phone shows one after another."""

    viseme: str
    """Name, a key of `VISEMES`."""
    share: float
    """Share of the phone's duration, (0, 1]."""
    neutral: bool = False
    """Whether the lips are free to take the shape of the neighbours, as in k or h."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A viseme in time."""

    viseme: str
    """Name, a key of `VISEMES`."""
    start: float
    """Seconds."""
    end: float
    """Seconds, >= `start`."""
    neutral: bool = False
    """See `ShownViseme`."""


_SYMBOLS: Final = MappingProxyType(
    {
        symbol: viseme
        for viseme, symbols in {
            "AI": "a ɑ æ ʌ ɐ ɒ ɶ",
            "E": "e ɛ i ɪ ᵻ ə ɘ ɨ ɯ ɤ j ɲ c ɟ ʝ k ɡ g ŋ q ɢ ɴ h ɦ ħ x ç ɣ χ ɰ ʕ ʔ",
            "U": "u ʊ ʉ y ʏ ø ɵ ɥ",
            "O": "o ɔ œ ɞ",
            "MBP": "p b m ɓ ʙ",
            "FV": "f v ʋ ɱ ⱱ ɸ β",
            "L": "l t d n ɾ ɫ ɬ ɮ ɺ ɽ ɭ ʎ ʟ ʈ ɖ ɳ ɗ",
            "WQ": "w ʍ",
            "R": "ɹ r ɚ ɝ ɜ ʁ ʀ ɻ",
            "CH": "ʃ ʒ s z ʂ ʐ ɕ ʑ ɧ ʧ ʤ ʦ ʣ ʨ ʥ",
            "TH": "θ ð",
        }.items()
        for symbol in symbols.split()
    }
)
_VOWELS: Final = frozenset("aɑæʌɐɒɶeɛiɪəɘɨɯɤuʊʉyʏøɵoɔœɞɚɝɜᵻ")
_NEUTRAL: Final = frozenset("kɡgŋqɢɴhɦħxçɣχɰʕʔ")
_AFFRICATES: Final = frozenset({"tʃ", "dʒ", "ts", "dz", "tɕ", "dʑ", "tʂ", "dʐ"})
_FIRST_OF_TWO: Final = 0.6
"""Share of a diphthong's first vowel; the glide takes the rest."""


@lru_cache(maxsize=1024)
def visemes_of(ipa: str) -> tuple[ShownViseme, ...]:
    """The visemes of one phone in order, shares summing to one.

    A diphthong shows two, an affricate one. Stress, length, tone and other marks change nothing;
    a symbol that is not known shows `E`, slightly open lips. Silence (``) shows `Rest`.
    """
    symbols = [
        symbol
        for symbol in unicodedata.normalize("NFD", ipa)
        if unicodedata.category(symbol) in {"Ll", "Lo"} or symbol in _SYMBOLS
    ]
    if not symbols:
        return (ShownViseme("Rest", 1.0),)
    sounds: list[str] = []
    for symbol in symbols:
        if sounds and sounds[-1] + symbol in _AFFRICATES:
            sounds[-1] = symbol
        else:
            sounds.append(symbol)
    shown = [(_SYMBOLS.get(sound, "E"), sound in _NEUTRAL) for sound in sounds]
    merged = [pair for i, pair in enumerate(shown) if i == 0 or pair[0] != shown[i - 1][0]]
    if len(merged) == 2 and sounds[0] in _VOWELS:
        shares = [_FIRST_OF_TWO, 1.0 - _FIRST_OF_TWO]
    else:
        shares = [1.0 / len(merged)] * len(merged)
    return tuple(
        ShownViseme(viseme, share, neutral)
        for (viseme, neutral), share in zip(merged, shares, strict=True)
    )


_ARPABET_GLIDES: Final = MappingProxyType({"AY": "E", "AW": "U", "OW": "U", "OY": "E"})
_ARPABET_NEUTRAL: Final = frozenset({"K", "G", "NG", "HH"})


def visemes_of_arpabet(phone: str) -> tuple[ShownViseme, ...]:
    """The same for a phone of American English in ARPAbet, stress digits allowed."""
    name = phone.strip("012").upper()
    first = ARPABET.get(name, "E")
    if name in _ARPABET_GLIDES:
        return (
            ShownViseme(first, _FIRST_OF_TWO),
            ShownViseme(_ARPABET_GLIDES[name], 1.0 - _FIRST_OF_TWO),
        )
    return (ShownViseme(first, 1.0, name in _ARPABET_NEUTRAL),)


def segments_of(phones: tuple[Phone, ...]) -> list[Segment]:
    """The visemes of phones in time, silences as `Rest` segments."""
    segments: list[Segment] = []
    for phone in phones:
        start = phone.start
        for shown in visemes_of(phone.ipa):
            end = start + shown.share * (phone.end - phone.start)
            segments.append(Segment(shown.viseme, start, end, shown.neutral))
            start = end
    return segments
