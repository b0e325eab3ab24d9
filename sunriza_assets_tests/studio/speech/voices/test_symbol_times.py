"""Durations of symbols become phones and words."""

import pytest

from sunriza_assets.studio.speech.phones import Phone, Word
from sunriza_assets.studio.speech.voices.kokoro import tokens_of
from sunriza_assets.studio.speech.voices.symbol_times import (
    TimedSymbol,
    phones_of,
    words_in_time,
)


def timed(symbols: str) -> list[TimedSymbol]:
    """Each symbol sounds for a tenth of a second."""
    return [TimedSymbol(i, sign, i / 10, (i + 1) / 10) for i, sign in enumerate(symbols)]


def rounded(phones: tuple[Phone, ...]) -> list[tuple[str, float, float]]:
    return [(one.ipa, round(one.start, 4), round(one.end, 4)) for one in phones]


def test_marks_join_their_phones_and_spaces_are_halved() -> None:
    phones = phones_of(timed("tˈuː ʃɪp."), 0.0, 1.0)
    assert rounded(phones) == [
        ("t", 0.0, 0.1),
        ("uː", 0.1, 0.45),
        ("ʃ", 0.45, 0.6),
        ("ɪ", 0.6, 0.7),
        ("p", 0.7, 0.8),
        ("", 0.8, 1.0),
    ]


def test_the_offset_moves_phones_and_words_earlier() -> None:
    symbols = timed("uːp")
    assert rounded(phones_of(symbols, 0.06, 0.5)) == [
        ("uː", 0.0, 0.14),
        ("p", 0.14, 0.24),
        ("", 0.24, 0.5),
    ]
    assert words_in_time([("up", 0, 3), ("gone", 5, 7)], symbols, 0.06, 0.5) == (
        Word("up", 0.0, pytest.approx(0.24)),
    )


def test_an_affricate_is_one_phone_and_two_words_do_not_make_one() -> None:
    assert [one.ipa for one in phones_of(timed("tʃ"), 0, 0.2)] == ["tʃ"]
    assert [one.ipa for one in phones_of(timed("t ʃ"), 0, 0.3)] == ["t", "ʃ"]


def test_kokoro_reads_pairs_as_one_symbol_and_one_as_two() -> None:
    assert tokens_of("dʒˈeɪlɚ") == [
        (0, "dʒ", "ʤ"),
        (2, "ˈ", "ˈ"),
        (3, "eɪ", "A"),
        (5, "l", "l"),
        (6, "ə", "ə"),
        (6, "ɹ", "ɹ"),
    ]
