"""Hostile text ends in clean speech or a named error."""

from dataclasses import replace

import pytest

from sunriza_assets.errors import SpeechError
from sunriza_assets.studio.speech.voices.protocol import MAX_CHARACTERS, SpeakRequest
from sunriza_assets.studio.speech.voices.text import checked, cleaned


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  Guten \t Morgen\n", "Guten Morgen"),
        ("Cafe\u0301", "Café"),
        ("Hallo 😀! 👩\u200d👩\u200d👧 1️⃣", "Hallo ! 1"),
        ("eins\u0000zwei\u0007 \u202ednu\u202c", "einszwei dnu"),
        ("raw [[h@'loU]] text", "raw h@'loU text"),
        ("[[[[x]]]]", "x"),
        ("3 < 4 > 2 & 1", "3 < 4 > 2 & 1"),
        ("Title\n\nText", "Title. Text"),
        ("a\u0301\u0301\u0301\u0301\u0301\u0301\u0301b", "á\u0301\u0301\u0301b"),
        ("20 °C © ½ €", "20 °C © ½ €"),
        ("\ue000private\U0010ffff", "private"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("x\u2028y\u00a0z\u0085w", "x y z w"),
    ],
)
def test_text_is_cleaned(text: str, clean: str) -> None:
    assert cleaned(text) == clean
    assert cleaned(clean) == clean


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("😀👍", "empty"),
        ("… – !?", "empty"),
        ("\u0000", "empty"),
        ("<speak>Hallo</speak>", "markup"),
        ("Hallo <break time='1s'/> Welt", "markup"),
        ("< /b >", "markup"),
        ("<!-- x -->", "markup"),
        ("<?xml version='1.0'?>", "markup"),
        ("x" * (MAX_CHARACTERS + 1), "too_long"),
        ("\ud800", "encoding"),
    ],
)
def test_what_cannot_be_spoken_is_refused_by_name(text: str, code: str) -> None:
    with pytest.raises(SpeechError) as caught:
        cleaned(text)
    assert caught.value.code == f"speech.{code}"


def test_endless_words_are_spoken_in_pieces_and_languages_without_spaces_are_left() -> None:
    assert max(map(len, cleaned("a.b" * 1000).split())) <= 60
    chinese = "北京" * 100
    assert cleaned(chinese) == chinese


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"language": "../de"}, "language"),
        ({"language": ""}, "language"),
        ({"voice": "../../etc/passwd"}, "voice"),
        ({"voice": "x" * 100}, "voice"),
        ({"speed": 0.1}, "speed"),
        ({"speed": float("nan")}, "speed"),
    ],
)
def test_a_request_out_of_range_is_refused_by_name(change: dict[str, object], code: str) -> None:
    with pytest.raises(SpeechError) as caught:
        checked(replace(SpeakRequest("Hallo", "de"), **change))  # type: ignore[arg-type]
    assert caught.value.code == f"speech.{code}"


def test_a_language_is_a_tag_in_lower_case() -> None:
    assert checked(SpeakRequest(" Hi ", " en_US ")) == SpeakRequest("Hi", "en-us")
