"""Text from outside becomes text that a voice may speak: clean, short enough, and plain.

Engines have languages of their own inside text: SSML in `<…>`, raw phonemes in `[[…]]`. None of
them may be reached by whoever sends a text, and none shall be read aloud by mistake.
"""

import re
import unicodedata
from dataclasses import replace
from typing import Final

from sunriza_assets.errors import SpeechError
from sunriza_assets.studio.speech.voices.protocol import MAX_CHARACTERS, SPEEDS, SpeakRequest

__all__ = ["checked", "cleaned"]

_MARKUP: Final = re.compile(r"<\s*[/!?]?\s*[A-Za-z][^<>]*>|<!--")
_PARAGRAPH: Final = re.compile(r"(?<=[^\s.!?…:;,])[^\S\n]*\n\s*\n\s*")
_RAW: Final = re.compile(r"\[{2,}|\]{2,}")
_PICTURES: Final = (
    (0x1F000, 0x1FAFF),  # emoji, cards, flags, skin tones
    (0x2190, 0x21FF),  # arrows
    (0x2300, 0x23FF),  # ⌚ and its kin
    (0x2460, 0x24FF),  # enclosed letters and digits
    (0x2500, 0x27BF),  # boxes, shapes, symbols, dingbats
    (0x2900, 0x297F),
    (0x2B00, 0x2BFF),
)
_PARTS_OF_PICTURES: Final = (
    (0xFE00, 0xFE0F),  # variation selectors
    (0xE0000, 0xE01EF),  # tags
    (0x20D0, 0x20FF),  # marks that enclose what they follow: keycaps
)
_JOINERS: Final = "\u200c\u200d"
"""Persian and Indian scripts need them between letters; between pictures they go."""
_BLANKS: Final = "\t\n\v\f\r\x85"
_MOST_MARKS: Final = 3
"""Accents on one letter; more are decoration."""
_LONG_RUN: Final = re.compile(r"([!-\u0dff]{60})(?=[!-\u0dff])")
"""Letters of scripts that have spaces between words: eSpeak NG takes minutes or crashes on more."""
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}")
_VOICE: Final = re.compile(r"[\w.+ -]{0,64}")


def checked(request: SpeakRequest) -> SpeakRequest:
    """The same request with clean text and a language in lower case.

    Raises:
        SpeechError: a part of it is out of its range; the message names which and the range.
    """
    language = request.language.strip().lower().replace("_", "-")
    if not _LANGUAGE.fullmatch(language):
        raise SpeechError(
            "The language is not a language tag",
            remedy="Use one like de, en or en-us.",
            code="language",
        )
    if not _VOICE.fullmatch(request.voice):
        raise SpeechError(
            "The voice is not the name of one",
            remedy="`sunriza voices` lists them.",
            code="voice",
        )
    slowest, fastest = SPEEDS
    if not slowest <= request.speed <= fastest:
        raise SpeechError(
            f"A speed of {request.speed:g} is out of range",
            remedy=f"Use {slowest:g} to {fastest:g}; 1 is the voice's own.",
            code="speed",
        )
    return replace(
        request, text=cleaned(request.text), language=language, speed=float(request.speed)
    )


def cleaned(text: str) -> str:
    """Plain text in NFC on one line, without control characters, emoji and raw phonemes.

    A blank line counts as the end of a sentence.

    Raises:
        SpeechError: it is too long, holds markup (SSML, HTML), or nothing that can be spoken.
    """
    _refuse_long(text)
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise SpeechError(
            "The text is not valid Unicode", remedy="Send it as UTF-8.", code="encoding"
        )
    if _MARKUP.search(text):
        raise SpeechError(
            "The text holds markup",
            remedy="Send plain text: tags of SSML or HTML are not understood.",
            code="markup",
        )
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    text = _PARAGRAPH.sub(". ", text)
    text = "".join(_kept(sign) for sign in text)
    text = _LONG_RUN.sub(r"\1 ", _few_marks(_RAW.sub(" ", text)))
    text = " ".join(re.sub(rf"(?<!\w)[{_JOINERS}]+|[{_JOINERS}]+(?!\w)", "", text).split())
    text = unicodedata.normalize("NFC", text)
    _refuse_long(text)
    if not any(sign.isalnum() for sign in text):
        raise SpeechError(
            "The text is empty" if not text else "The text holds nothing that can be spoken",
            remedy="Send words.",
            code="empty",
        )
    return text


def _refuse_long(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise SpeechError(
            f"The text has {len(text)} characters; {MAX_CHARACTERS} are allowed",
            remedy="Send it in parts.",
            code="too_long",
        )


def _kept(sign: str) -> str:
    """A character as it is spoken: itself, a space or nothing."""
    if sign.isprintable() and sign.isascii():
        return sign
    kind = unicodedata.category(sign)
    if sign in _BLANKS or kind[0] == "Z" or _is_in(sign, _PICTURES):
        return " "
    # Control characters, direction marks, private and unassigned ones.
    dropped = kind[0] == "C" or _is_in(sign, _PARTS_OF_PICTURES)
    return "" if dropped and sign not in _JOINERS else sign


def _is_in(sign: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= ord(sign) <= last for first, last in ranges)


def _few_marks(text: str) -> str:
    """No more than a few combining marks in a row."""
    kept: list[str] = []
    row = 0
    for sign in text:
        row = row + 1 if unicodedata.combining(sign) else 0
        if row <= _MOST_MARKS:
            kept.append(sign)
    return "".join(kept)
