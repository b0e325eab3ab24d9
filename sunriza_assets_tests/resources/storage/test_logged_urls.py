"""Tokens stay out of event logs."""

from urllib.parse import quote

import pytest

from resources.storage.logged_urls import logged, logged_url

NAME = "avatars/anna/images/a b.jpg"
URL = f"https://firebasestorage.googleapis.com/v0/b/x.firebasestorage.app/o/{quote(NAME, safe='')}"


def test_an_object_is_named_where_operators_can_open_it() -> None:
    opened = "https://storage.cloud.google.com/x.firebasestorage.app/avatars/anna/images/a%20b.jpg"
    assert logged_url(f"{URL}?alt=media&token=secret") == opened
    assert logged_url(f"{URL}?token=secret&alt=media") == opened


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:9/v0/b/x/o/a?alt=media&token=secret", "http://127.0.0.1:9/v0/b/x/o/a?alt=media"),
        ("https://x.example/a?token=secret&alt=media", "https://x.example/a?alt=media"),
        ("https://x.example/a?token=secret", "https://x.example/a"),
        ("https://x.example/a?alt=media", "https://x.example/a?alt=media"),
        ("file:///home/storage/a.mp4", "file:///home/storage/a.mp4"),
        ("avatars/anna/a.jpg", "avatars/anna/a.jpg"),
    ],
)  # fmt: skip
def test_every_other_address_loses_its_token_alone(url: str, shown: str) -> None:
    assert logged_url(url) == shown


def test_a_documents_urls_are_found_wherever_they_are() -> None:
    secret = f"{URL}?alt=media&token=secret"
    result = logged({"a": [secret, {"b": secret}], "number": 1, "none": None, "text": "no token"})
    assert "secret" not in str(result)
    assert (result["number"], result["none"], result["text"]) == (1, None, "no token")
