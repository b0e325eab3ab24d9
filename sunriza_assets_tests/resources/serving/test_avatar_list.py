"""The page of avatars at the root of the file server: complete, escaped, and without uploads."""

import html
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from resources.home import Home
from resources.serving.avatar_list import PAGE_SIZE
from resources.serving.media_server import application
from resources.storage.local import LocalStorage
from sunriza_assets_tests.browser import chromium, open_page
from sunriza_assets_tests.resources.serving.file_server import hosted

HOSTILE = '"><script>document.title = "run"</script><img src=x onerror=alert(1)>\u202e{{'


class Links(HTMLParser):
    """Addresses and elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.elements: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.avatars.mkdir(parents=True)
    document(home, "ada", {"name": HOSTILE, "dynamics": {"basic": {"status": "ready"}}})
    document(home, "bob", {"dynamics": {"basic": {"status": "error"}}})
    document(home, "cleo", {"name": 7, "training": {"heroImageUrl": "users/cleo/portrait.jpg"}})
    (home.avatars / "damaged.json").write_text("{")
    put(home, "avatars/ada/dynamics/basic/thumbnail.jpg", b"\xff\xd8")
    put(home, "avatars/ada/dynamics/basic/idle.mp4", b"idle")
    put(home, "avatars/ada/hero/portrait.jpg", b"private")
    put(home, "users/cleo/portrait.jpg", b"private")
    put(home, "pipeline/ada/preview_page/run-2/preview.html", b"<!doctype html><title>Ada</title>")
    put(home, "pipeline/ada/preview_page/current.json", b'{"run": "run-2"}')
    put(home, "pipeline/bob/preview_page/current.json", b'{"run": "../../ada/preview_page/run-2"}')
    return home


def document(home: Home, avatar_id: str, content: object) -> None:
    (home.avatars / f"{avatar_id}.json").write_text(json.dumps(content))


def put(home: Home, name: str, content: bytes) -> None:
    file = home.root / "new"
    file.write_bytes(content)
    LocalStorage(home).put(file, name)


def client(home: Home) -> TestClient:
    return TestClient(application(home), base_url="http://localhost")


def test_every_avatar_is_listed_with_its_state(home: Home) -> None:
    page = client(home).get("/").text
    for avatar_id, state in (("ada", "ready"), ("bob", "error"), ("cleo", "new")):
        assert f"<p>{state}</p>" in page, avatar_id
        assert avatar_id in page
    assert "damaged" in page, "a document that cannot be read hides neither itself nor others"
    assert Links(page).elements.count("li") == 4


def test_links_are_relative_and_lead_to_what_is_published(home: Home) -> None:
    asked = client(home)
    addresses = Links(asked.get("/").text).addresses
    assert addresses == [
        "avatars/ada/dynamics/basic/thumbnail.jpg",
        "pipeline/ada/preview_page/run-2/preview.html",
        "avatars/ada/dynamics/basic/idle.mp4",
    ]
    assert all(asked.get(f"/{address}").status_code == 200 for address in addresses)


def test_a_name_is_shown_and_never_run(home: Home) -> None:
    answer = client(home).get("/")
    assert html.escape(HOSTILE) in answer.text
    assert {"script"}.isdisjoint(Links(answer.text).elements)
    assert Links(answer.text).elements.count("img") == 1
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_many_avatars_come_in_pages(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.avatars.mkdir(parents=True)
    for number in range(PAGE_SIZE + 5):
        document(home, f"avatar-{number:04}", {})
    asked = client(home)
    first = asked.get("/").text
    (more,) = Links(first).addresses
    assert Links(first).elements.count("li") == PAGE_SIZE
    assert Links(asked.get(f"/{more}").text).elements.count("li") == 5


def test_an_empty_home_says_so(tmp_path: Path) -> None:
    answer = client(Home(tmp_path)).get("/")
    assert answer.status_code == 200
    assert "no avatar here yet" in answer.text


@pytest.mark.skipif(chromium() is None, reason="no chromium here; CI brings it")
def test_a_browser_shows_it_without_a_complaint(home: Home) -> None:
    with hosted(home) as host, open_page(f"http://localhost:{host.port}/") as page:
        assert page.evaluate("document.title") == "Avatars"
        assert page.evaluate("getComputedStyle(document.querySelector('ul')).display") == "grid"
        assert page.evaluate("document.querySelectorAll('h2 a').length") == 1
        page.evaluate("document.querySelector('h2 a').click()")
        page.wait_for("document.title === 'Ada'")
        assert page.errors == []
