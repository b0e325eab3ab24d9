"""Symbols become sounds, sounds become mouth shapes, and times stay in order."""

import pytest

from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.speech import phones
from sunriza_assets.studio.speech.phones import Phone, filled, shifted, split_symbols, viseme_of


@pytest.mark.parametrize(
    ("symbols", "sounds"),
    [
        ("ts", ["ts"]),
        ("əl", ["ə", "l"]),
        ("tʃ", ["tʃ"]),
        ("ˈaɪ", ["aɪ"]),
        ("ˌyː", ["yː"]),
        ("ɔ̃", ["ɔ̃"]),
        ("t͡s", ["ts"]),
        ("kʰa", ["kʰ", "a"]),
        ("", []),
        ("ː", []),
    ],
)
def test_a_string_of_symbols_is_split_into_sounds(symbols: str, sounds: list[str]) -> None:
    assert split_symbols(symbols) == sounds


def test_every_symbol_of_the_table_shows_one_of_the_twelve_visemes() -> None:
    shown = {phones.viseme_of(symbol) for symbol in phones.SYMBOLS}
    assert shown | {"Rest"} == set(VISEMES)


def test_german_and_english_sounds_look_as_they_are_spoken() -> None:
    pairs = {"m": "MBP", "v": "FV", "w": "WQ", "ʃ": "CH", "ts": "CH", "ɝ": "R", "θ": "TH"}
    pairs |= {"øː": "U", "ç": "E", "n̩": "L", "aɪ": "AI", "": "Rest", "ɔː": "O", "ɪ̯": "E"}
    assert {ipa: viseme_of(ipa) for ipa in pairs} == pairs


def test_a_diphthong_glides_and_equal_neighbours_are_one() -> None:
    spoken = [Phone("t", 0, 0.1), Phone("n", 0.1, 0.2), Phone("aʊ", 0.2, 1.2), Phone("", 1.2, 2)]
    shown = [(one.viseme, one.start, one.end) for one in phones.visemes_of(spoken)]
    assert shown == [
        ("L", 0, 0.2),
        ("AI", 0.2, pytest.approx(0.8)),
        ("U", pytest.approx(0.8), 1.2),
        ("Rest", 1.2, 2),
    ]


def test_gaps_become_silence_and_overlaps_are_cut() -> None:
    spoken = [Phone("a", 0.1, 0.3), Phone("b", 0.2, 0.5), Phone("", 0.5, 0.6), Phone("k", 0.7, 2)]
    assert filled(spoken, 1.0) == (
        Phone("", 0.0, 0.1),
        Phone("a", 0.1, 0.3),
        Phone("b", 0.3, 0.5),
        Phone("", 0.5, 0.7),
        Phone("k", 0.7, 1.0),
    )


def test_an_offset_moves_phones_earlier_within_the_sound() -> None:
    spoken = [Phone("a", 0.0, 0.02), Phone("b", 0.02, 0.5)]
    moved = shifted(spoken, 0.03, 0.5)
    assert [(one.ipa, round(one.start, 6), round(one.end, 6)) for one in moved] == [
        ("b", 0.0, 0.47),
        ("", 0.47, 0.5),
    ]
