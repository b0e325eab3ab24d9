"""Symbols become sounds, and their times stay in order."""

import pytest

from sunriza_assets.studio.speech.phones import Phone, filled, shifted, split_symbols


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
