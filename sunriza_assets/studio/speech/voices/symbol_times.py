"""How long each symbol sounds becomes timed phones and words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sunriza_assets.studio.speech.phones import Phone, Word, filled, is_modifier, shifted

__all__ = ["TimedSymbol", "phones_of", "words_in_time"]

_STRESS: Final = "ˈˌ"
_SILENT: Final = ",;:.?!—…\"'“”()"
_AFFRICATES: Final = frozenset({"tʃ", "dʒ", "ts", "dz", "tɕ", "dʑ"})


@dataclass(frozen=True, slots=True)
class TimedSymbol:
    """One symbol of a `Sentence` in time."""

    index: int
    """In the sentence's symbols."""
    sign: str
    """IPA, a diphthong or an affricate where the model reads it as one; or punctuation."""
    start: float
    """Seconds from the start of the sentence's sound, as the model says."""
    end: float


def phones_of(symbols: Sequence[TimedSymbol], offset: float, seconds: float) -> tuple[Phone, ...]:
    """Phones that cover the sound.

    Length marks belong to the phone before, stress marks to the one after; a space is divided
    between its neighbours; punctuation is silence.

    Args:
        symbols: in order of time.
        offset: seconds by which the model is late, measured for the voice.
        seconds: length of the sound.
    """
    phones: list[Phone] = []
    begin: float | None = None  # of stress marks and half spaces before the next phone
    for one in symbols:
        if one.sign in _STRESS:
            begin = one.start if begin is None else begin
        elif one.sign == " ":
            middle = (one.start + one.end) / 2
            if phones:
                phones[-1] = Phone(phones[-1].ipa, phones[-1].start, middle)
            begin = middle
        elif phones and len(one.sign) == 1 and is_modifier(one.sign):
            phones[-1] = Phone(phones[-1].ipa + one.sign, phones[-1].start, one.end)
        else:
            ipa = "" if one.sign in _SILENT else one.sign
            if begin is None and phones and phones[-1].ipa + ipa in _AFFRICATES:
                phones[-1] = Phone(phones[-1].ipa + ipa, phones[-1].start, one.end)
            else:
                phones.append(Phone(ipa, one.start if begin is None else begin, one.end))
            begin = None
    return shifted(filled(phones, seconds), offset, seconds)


def words_in_time(
    words: Sequence[tuple[str, int, int]],
    symbols: Sequence[TimedSymbol],
    offset: float,
    seconds: float,
) -> tuple[Word, ...]:
    """The words of a `Sentence` in time; those of whose symbols none is known are left out."""
    found = []
    for word, first, end in words:
        own = [one for one in symbols if first <= one.index < end and one.sign != " "]
        if own:
            start, stop = own[0].start - offset, own[-1].end - offset
            found.append(Word(word, min(max(0.0, start), seconds), min(max(0.0, stop), seconds)))
    return tuple(found)
