"""The pages of the service for people: their links lead somewhere, their commands can be copied."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sunriza_assets_tests.browser import chromium, open_page
from sunriza_assets_tests.service.jobs.world import World, world

BEHIND_A_PROXY = {"X-Forwarded-For": "8.8.8.8"}


@pytest.fixture(scope="module")
def open_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service that everybody on this machine may call."""
    root = tmp_path_factory.mktemp("home")
    settings = {"SUNRIZA_DAGSTER_UI": "http://127.0.0.1:3999"}
    with world(root, open_mode=True, **settings) as served:
        yield served


def commands(page: str) -> list[str]:
    return [html.unescape(one) for one in re.findall(r"<pre>(curl .*?)</pre>", page, re.DOTALL)]


def test_every_link_of_the_first_page_leads_somewhere(open_world: World) -> None:
    with open_world.client(None) as client:
        answer = client.get("/")
        links = re.findall(r"href='([^']*)'", answer.text)
        assert links == ["/docs", "/avatars", "http://127.0.0.1:3999", "/metrics", "/health/ready"]
        answers = {link: client.get(link).status_code for link in links if link.startswith("/")}
    assert answers == dict.fromkeys(answers, 200) | {"/health/ready": 503}  # no dispatcher
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy and "<script" not in answer.text


def test_the_first_avatar_is_made_as_the_first_page_says(open_world: World) -> None:
    """Its command sends what the route needs, to the address that was asked."""
    with open_world.client(None) as client:
        first, *others = commands(client.get("/").text)
        paths = client.get("/openapi.json").json()["paths"]
    form = paths["/avatars"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    sent = dict(re.findall(r"-F (\w+)=(\S+)", first))
    assert set(form["required"]) <= sent.keys() <= form["properties"].keys()
    assert first.endswith(f" {open_world.url}/avatars")
    for one in others:
        path = one.rpartition(open_world.url)[2].replace("ID", "{avatar_id}")
        assert "get" in paths[path], one


def test_strangers_see_neither_commands_without_a_key_nor_what_is_local(tmp_path: Path) -> None:
    settings = {"SUNRIZA_DAGSTER_UI": "http://127.0.0.1:3999"}
    with world(tmp_path, **settings) as served, served.client(None) as client:
        local, remote = (client.get("/", headers=one).text for one in ({}, BEHIND_A_PROXY))
        assert client.get("/docs", headers=BEHIND_A_PROXY).status_code == 404
        assert client.head("/").status_code == 200
        assert client.post("/", json={}).status_code == 401
    assert all("X-API-Key: $KEY" in one for one in commands(remote))
    assert "3999" in local and "3999" not in remote and "/metrics" not in remote


@pytest.mark.skipif(chromium() is None, reason="needs Chromium")
def test_a_phone_shows_them_whole(open_world: World) -> None:
    with open_page("about:blank") as page:
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=360, height=740, deviceScaleFactor=2, mobile=True,
        )  # fmt: skip
        for path in ("/", "/docs"):
            page.call("Page.navigate", url=f"{open_world.url}{path}")
            page.wait_for(f"location.pathname === '{path}' && document.readyState === 'complete'")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert page.errors == []


def test_the_documentation_sends_what_a_route_needs(open_world: World) -> None:
    with open_world.client(None) as client:
        page = html.unescape(client.get("/docs").text)
    told = {re.sub(r"^.*?8?'http://[^/]*", "", one): one for one in commands(page)}

    def command(path: str) -> str:
        return next(one for key, one in told.items() if key.startswith(path))

    assert "-F source_image=@file -F emotion=" in command("/render' ")
    assert "-F portrait=@file" in command("/avatars' ")
    assert '"avatar_id": "anna"' in command("/generate-dynamics'")
    assert '"start_time": ' in command("/trimVideo'")
    assert "curl -I " in page and "-d '{}'" not in command("/keys'")
