"""speech.js in a real browser: letters of several scripts, accents and numbers become visemes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sunriza_assets.studio.expression.visemes import VISEMES
from sunriza_assets.studio.overlay.speech import speech_script, speech_tables
from sunriza_assets_tests.browser import Page, chromium, open_page

needs_chromium = pytest.mark.skipif(chromium() is None, reason="no chromium here; CI brings it")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    file = tmp_path_factory.mktemp("speech") / "page.html"
    file.write_text(f"<meta charset='utf-8'><script>{speech_script()}</script>", "utf-8")
    with open_page(file.as_uri()) as page:
        yield page
        assert page.errors == []


def visemes(page: Page, text: str, language: str = "en") -> list[str]:
    notes = "readText(%s, %s).notes.flatMap((note) => note.visemes ?? [])"
    return list(page.evaluate(notes % (json.dumps(text), json.dumps(language))))


def told(page: Page, text: str) -> str:
    return str(page.evaluate(f"leftOut(score({json.dumps(text)}, 'en'))"))


@needs_chromium
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mama", "MBP AI MBP AI"),
        ("name", "L AI MBP"),
        ("Hello", "E L O"),
        ("thing", "TH E L"),
        ("Schule", "CH U L"),
        ("Häuser", "E O E CH E R"),
        ("food", "FV U L"),
        ("don't", "L O L"),
        ("…", ""),
    ],
)
def test_letters_become_visemes(page: Page, text: str, expected: str) -> None:
    assert visemes(page, text) == expected.split()


@needs_chromium
@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("naïve", "naive"),
        ("Ångström", "angström"),
        ("Dvořák", "Dvorak"),
        ("Ø", "ö"),
        ("\uff28\uff45\uff4c\uff4c\uff4f", "Hello"),  # as wide as Chinese characters
        ("Ha\u0308user", "Häuser"),  # its accent apart
        ("hel\u00adlo", "hello"),  # with a soft hyphen
    ],
)
def test_accents_are_taken_off_unless_the_rules_know_them(
    page: Page, text: str, same_as: str
) -> None:
    assert visemes(page, text) == visemes(page, same_as) != []


@needs_chromium
def test_an_accent_makes_a_last_e_heard(page: Page) -> None:
    assert visemes(page, "café") == ["CH", "AI", "FV", "E"]


@needs_chromium
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Привет, мир", "MBP R E FV E L MBP E R"),
        ("Юля", "E U L E AI"),
        ("сход", "CH E O L"),  # s and h, not one sh
        ("Київ", "E FV"),
        ("Καλημέρα", "E AI L E MBP E R AI"),
        ("μπαμπά", "MBP AI MBP AI"),
        ("ΟΥΖΟ", "U CH O"),
        ("μάιος", "MBP AI E O CH"),  # the accent parts the two vowels
        ("μαΐου", "MBP AI E U"),
        ("नमस्ते", "L AI MBP AI CH L E"),
        ("मोहन", "MBP O E AI L"),
        ("फ़ोन", "FV O L"),
    ],
)
def test_other_scripts_speak(page: Page, text: str, expected: str) -> None:
    assert visemes(page, text) == expected.split()
    assert told(page, text) == ""


@needs_chromium
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("你好", "Chinese characters"),
        ("مرحبا", "Arabic"),
        ("שלום", "Hebrew"),
        ("안녕하세요", "Korean Hangul"),
        ("สวัสดี", "Thai"),
        ("გამარჯობა", "Georgian"),
        ("\U00010330", "\U00010330"),  # Gothic, of which the page knows no name
    ],
)
def test_what_cannot_be_spoken_is_named(page: Page, text: str, named: str) -> None:
    assert visemes(page, text) == []
    assert named in told(page, text)
    assert "Latin, Cyrillic, Greek and Devanagari letters, and numbers" in told(page, text)
    assert visemes(page, f"Ava {text}") == visemes(page, "Ava")
    assert told(page, f"Ava {text}").startswith("Left out")


@needs_chromium
def test_a_text_without_words_is_told(page: Page) -> None:
    for text in ("", " ", "…", "\U0001f642"):
        assert told(page, text).startswith("There is nothing to speak")


def value_of(words: str, table: dict[str, Any]) -> int:
    """Read number words back."""
    units = {word: value for value, word in enumerate(table["ones"])} | {table["one"]: 1}
    units |= {word: 10 * value for value, word in enumerate(table["tens"]) if word}
    total = below_thousand = 0
    for word in words.replace(table["million"][0], f"{table['one']} M").split():
        if word in ("M", table["million"][1]):
            total, below_thousand = total + below_thousand * 1_000_000, 0
        elif word == table["thousand"]:
            total, below_thousand = total + below_thousand * 1000, 0
        elif word == table["hundred"]:
            below_thousand *= 100
        elif word != table["link"]:
            below_thousand += units[word]
    return total + below_thousand


@needs_chromium
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_number_below_a_million_is_spelled(page: Page, language: str) -> None:
    numbers = [*range(1200), *range(1200, 1_000_000, 997), 999_999, 1_000_000, 987_654_321]
    words = page.evaluate(
        f"{numbers}.map((number) => spelled(number, SPEECH.languages.{language}))"
    )
    table = speech_tables()["languages"][language]
    assert [value_of(each, table) for each in words] == numbers
    assert len(set(words)) == len(numbers)
    silent = page.evaluate(
        f"{json.dumps(sorted({word for each in words for word in each.split()}))}"
        ".filter((word) => !readWord(word).visemes.length)"
    )
    assert silent == []


@needs_chromium
@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "42", "forty two"),
        ("de", "42", "zwei und vierzig"),
        ("de", "21", "ein und zwanzig"),
        ("de", "101", "ein hundert eins"),
        ("de", "1.000", "ein tausend"),
        ("en", "1,000", "one thousand"),
        ("en", "3.14", "three point one four"),
        ("de", "3,14", "drei Komma eins vier"),
        ("de", "1.234,5", "ein tausend zwei hundert vier und dreißig Komma fünf"),
        ("en", "007", "zero zero seven"),
        ("en", "192.168.0.1", "one hundred ninety two one hundred sixty eight zero one"),
        ("en", "12345678901", "one two three four five six seven eight nine zero one"),
        ("en", "\u0664\u0662", "forty two"),  # Arabic digits
        ("en", "\u096a\u0968", "forty two"),  # Devanagari's
        ("en", "-5", "minus five"),
        ("en", "50 %", "fifty percent"),
        ("de", "5 €", "fünf Euro"),
        ("en", "quick42", "quick forty two"),
        ("en", "12:30", "twelve thirty"),
        ("en", "m²", "m two"),
        ("fr", "7", "seven"),  # a language without numbers of its own
    ],
)
def test_numbers_are_read(page: Page, language: str, text: str, words: str) -> None:
    assert visemes(page, text, language) == visemes(page, words, language) != []


@needs_chromium
def test_the_browser_reads_by_the_table_that_python_reads(page: Page) -> None:
    assert page.evaluate("SPEECH") == speech_tables()


def test_the_tables_end_at_visemes_and_at_letters_with_rules() -> None:
    tables = speech_tables()
    letters = tables["letters"]
    assert {viseme for rule in letters.values() for viseme in rule.split()} <= set(VISEMES)
    assert set("abcdefghijklmnopqrstuvwxyzäöüß") <= set(letters)
    sounds = list(tables["latin"].values())
    for script in tables["scripts"].values():
        sounds += [*script["letters"].values(), *script.get("consonants", {}).values()]
    assert {letter for sound in sounds for letter in sound.replace(" ", "")} <= set(letters)
    assert max(map(len, letters)) == 3, "speech.js looks for no longer rule"
