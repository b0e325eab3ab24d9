"""Text becomes sentences of symbols, and every word is found in them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from sunriza_assets_tests.processes import ask_module
from sunriza_assets_tests.studio.speech.voices import pronouncing

TEXTS = [
    ["The choice of the house: it is 3.5, Dr. Smith. She sells 21 shells in the sea", "en-us"],
    ['Guten Morgen, über 21 Äpfel. "Wie geht es?" fragte er. Das kostet 3 € z. B. – ja!', "de"],
    ["word " * 300, "en-us"],
]


@pytest.fixture(scope="module")
def answers() -> Sequence[Sequence[Mapping[str, Any]]]:
    told: Sequence[Sequence[Mapping[str, Any]]] = ask_module(
        pronouncing.__name__, {"texts": TEXTS}
    )["answers"]
    return told


def test_sentences_end_at_full_stops_but_not_at_abbreviations(
    answers: Sequence[Sequence[Mapping[str, Any]]],
) -> None:
    english, german, _ = answers
    assert [one["text"] for one in english] == [
        "The choice of the house: it is 3.5, Dr. Smith.",
        "She sells 21 shells in the sea",
    ]
    assert [one["text"] for one in german] == [
        "Guten Morgen, über 21 Äpfel.",
        '"Wie geht es?"',
        "fragte er.",
        "Das kostet 3 € z. B. – ja!",
    ]
    assert [one["symbols"][-1] for one in german] == [".", "?", ".", "!"]
    assert ": " in english[0]["symbols"]


def test_words_that_are_spoken_as_one_or_as_several_keep_their_symbols(
    answers: Sequence[Sequence[Mapping[str, Any]]],
) -> None:
    english = dict(answers[0][0]["words"]) | dict(answers[0][1]["words"])
    assert (english["of"], english["3.5"]) == ("ʌv", "θɹˈiː pɔɪnt fˈaɪv")
    assert (english["21"], english["shells"], english["in"]) == ("twˈɛnti wˈʌn", "ʃˈɛlz", "ɪn")
    german = dict(answers[1][0]["words"]) | dict(answers[1][3]["words"])
    assert (german["Guten"], german["€"]) == ("ɡˈuːtən", "ˈɔøroː")


def test_endless_sentences_come_in_pieces_that_engines_can_read(
    answers: Sequence[Sequence[Mapping[str, Any]]],
) -> None:
    endless = answers[2]
    assert len(endless) > 1
    assert max(len(one["symbols"]) for one in endless) <= 481
    assert sum(len(one["words"]) for one in endless) == 300
