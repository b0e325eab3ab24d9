"""Text as sentences of IPA, for engines that read symbols: eSpeak NG pronounces, its rules apply.

For use in a voice worker only: `Espeak` loads a GPL library.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from sunriza_assets.studio.speech.voices.espeak import Espeak, words_of

__all__ = ["Sentence", "sentences_of"]

_ENDS: Final = ".?!"
_PAUSES: Final = ",;:"
_SAME_AS: Final = {
    "…": ".",
    "。": ".",
    "！": "!",
    "？": "?",
    "、": ",",
    "，": ",",
    "—": ",",
    "–": ",",
}
_CLOSING: Final = "\"'»“”’)]"
_READ_AHEAD: Final = 8
"""Characters behind which the punctuation is looked for that ended a clause."""
_NEAR: Final = 2
"""Symbols by which words that sound otherwise alone may be found beside their place."""
_LONGEST: Final = 400
"""Symbols of a sentence, about; a longer one is cut at its next clause: memory grows with it."""
_ABBREVIATED: Final = frozenset(
    [
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "jr",
        "sr",
        "vs",
        "nr",
        "bzw",
        "ca",
        "hr",
        "fr",
        "ing",
        "evtl",
        "ggf",
        "inkl",
        "usw",
        "str",
        "approx",
        "dept",
    ]
)
"""Words whose full stop ends no sentence: eSpeak NG ends a clause there, but without a pause."""
_MOST: Final = 480
"""Symbols that any engine can read at once."""
_OTHER_LANGUAGE: Final = re.compile(r"\([a-z-]+\)")
"""eSpeak NG marks words that it reads in another language."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as symbols."""

    text: str
    """As it was written."""
    symbols: str
    """IPA in NFD with stress marks, spaces between words and `,;:.?!`."""
    words: tuple[tuple[str, int, int], ...]
    """(word as written, index of its first symbol, index behind its last)."""


def sentences_of(espeak: Espeak, text: str, language: str) -> Iterator[Sentence]:
    """The sentences of a clean text.

    Args:
        espeak: pronounces.
        text: clean text.
        language: name of one of eSpeak NG's languages.

    Raises:
        SpeechError: there is no such language.
    """
    written, symbols = "", ""
    words: list[tuple[str, int, int]] = []
    for ipa, clause in _clauses(espeak, text, language):
        pronounced = _tidy(ipa)
        begin = len(symbols)
        words += (
            (word, begin + first, begin + end)
            for word, first, end in _words(espeak, clause, pronounced, language)
        )
        mark = _mark(clause)
        symbols += pronounced + mark
        written += clause
        if (not mark or mark in _PAUSES) and len(symbols) < _LONGEST:
            symbols += " "
            continue
        if pronounced:
            yield from _pieces(Sentence(written.strip(), symbols, tuple(words)))
        written, symbols, words = "", "", []
    if symbols.strip():
        yield from _pieces(Sentence(written.strip(), symbols.strip() + ".", tuple(words)))


def _pieces(sentence: Sentence) -> Iterator[Sentence]:
    """The sentence, or pieces of one that is too long even for one clause."""
    rest, begin = sentence.symbols, 0
    while len(rest) > _MOST:
        cut = rest.rfind(" ", 1, _MOST) + 1 or _MOST
        yield _piece(sentence, begin, begin + cut)
        rest, begin = rest[cut:], begin + cut
    yield _piece(sentence, begin, len(sentence.symbols)) if begin else sentence


def _piece(sentence: Sentence, begin: int, end: int) -> Sentence:
    words = tuple(
        (word, first - begin, min(last, end) - begin)
        for word, first, last in sentence.words
        if begin <= first < end
    )
    text = " ".join(word for word, _, _ in words)
    return Sentence(text, sentence.symbols[begin:end].strip(), words)


def _clauses(espeak: Espeak, text: str, language: str) -> Iterator[tuple[str, str]]:
    """IPA and text of each clause, the text with its punctuation and without what follows."""
    begin = read = 0
    clauses = espeak.phonemes(text, language)
    for number, (ipa, piece) in enumerate(clauses):
        read += len(piece)
        end = len(text) if number == len(clauses) - 1 else _end_of_clause(text, begin, read)
        yield ipa, text[begin:end]
        begin = end


def _end_of_clause(text: str, begin: int, read: int) -> int:
    """Index behind a clause of which the library has read a little more."""
    lowest = max(begin, read - _READ_AHEAD)
    for at in range(min(read, len(text)) - 1, lowest - 1, -1):
        if _plain_mark(text[at]):
            return at + 1 + len(text[at + 1 :]) - len(text[at + 1 :].lstrip(_CLOSING))
    space = text.rfind(" ", lowest, read)
    return space if space > begin else read


def _plain_mark(sign: str) -> str:
    sign = _SAME_AS.get(sign, sign)
    return sign if sign and sign in _ENDS + _PAUSES else ""


def _mark(clause: str) -> str:
    """The punctuation that ends a clause, one of `,;:.?!`, or ``."""
    bare = clause.rstrip(_CLOSING + " ")
    mark = _plain_mark(bare[-1:])
    last = bare.rstrip(".").rpartition(" ")[2].lower()
    return "" if mark == "." and (len(last) == 1 or last in _ABBREVIATED) else mark


def _tidy(ipa: str) -> str:
    without = _OTHER_LANGUAGE.sub("", ipa.replace("_", " "))
    return " ".join(unicodedata.normalize("NFD", without).split())


def _words(espeak: Espeak, clause: str, ipa: str, language: str) -> Iterator[tuple[str, int, int]]:
    """Which symbols are which word.

    Some words are spoken as one (`of the`), some as several (`21`). So each is pronounced alone and
    found again in the clause.
    """
    written = [word for word, _, _ in words_of(clause)]
    alone = [_tidy(" ".join(one for one, _ in espeak.phonemes(word, language))) for word in written]
    joined = " ".join(alone)
    blocks = SequenceMatcher(None, joined, ipa, autojunk=False).get_matching_blocks()
    begins = [0, *(found.end() for found in re.finditer(" ", ipa)), len(ipa)]
    at = 0
    edges: list[int] = []
    for one in alone:
        edge = _matched(blocks, at, len(ipa))
        near = _near(edge, begins)
        edges.append(edge if edges and near <= edges[-1] else near)
        at += len(one) + 1
    edges.append(len(ipa))
    for word, first, end in zip(written, edges, edges[1:], strict=False):
        piece = ipa[first:end]
        if piece.strip():
            yield word, first, first + len(piece.rstrip())


def _near(edge: int, begins: list[int]) -> int:
    """The begin of a group of symbols that is near, or the same."""
    near = min(begins, key=lambda begin: abs(begin - edge))
    return near if abs(near - edge) <= _NEAR else edge


def _matched(blocks: Sequence[tuple[int, int, int]], at: int, limit: int) -> int:
    """Where an index of the first string lies in the second, by their matching blocks."""
    for a, b, size in blocks:
        if at <= a + size:
            return max(0, min(b + at - a if at > a else b, limit))
    return limit
