"""preview.html for its reader: names, sizes, colours, keyboard, screen reader."""

import html
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.overlay.player import write_player
from sunriza_assets_tests.browser import Page, open_page
from sunriza_assets_tests.studio.overlay.player_page import (
    FRAMES,
    HOSTILE,
    RATE,
    needs_chromium,
    press,
)

SIZES = {"phone": (390, 844), "desk": (1280, 720)}


def show(page: Page, size: str, scheme: str = "light") -> None:
    width, height = SIZES[size]
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=size == "phone",
    )
    scheme_said = [{"name": "prefers-color-scheme", "value": scheme}]
    page.call("Emulation.setEmulatedMedia", features=scheme_said)
    page.evaluate("scrollTo(0, 0)")


def write_page(folder: Path, title: str, clip: str | None = None) -> Path:
    """A page of the folder's avatar under another name."""
    file = folder / f"{abs(hash(title))}.html"
    write_player(
        file,
        title=title,
        idle=folder / "idle.mp4",
        atlas=folder,
        mask=folder / "mask.png",
        roi=folder / "roi.json",
        clip=folder / clip if clip else None,
    )
    return file


@pytest.mark.parametrize("title", ["Ava", HOSTILE, "{{avatar}} {{speech}}", "Zoë 你好"])
def test_its_title_and_heading_are_the_name_before_any_script_runs(
    folder: Path, title: str
) -> None:
    head = write_page(folder, title).read_text("utf-8").partition("<canvas")[0]
    assert f"<title>{html.escape(title)}</title>" in head
    assert f"<h1>{html.escape(title)}</h1>" in head


@needs_chromium
@pytest.mark.parametrize(
    ("title", "says"),
    [
        ("Zoë", "Good morning. My name is Zoë. How are you?"),
        ("Юлия", "Good morning. My name is Юлия. How are you?"),
        ("小明", "Good morning. How are you?"),
    ],
)
def test_it_introduces_itself_by_its_own_name(folder: Path, title: str, says: str) -> None:
    with open_page(write_page(folder, title).as_uri()) as page:
        assert page.evaluate("document.querySelector('input[type=text]').value") == says
        assert page.evaluate("document.title") == title
        assert page.errors == []


@needs_chromium
@pytest.mark.parametrize("size", SIZES)
def test_it_can_be_asked_to_speak_without_scrolling(folder: Path, size: str) -> None:
    """With a portrait as tall as phones take them, and with a name of several lines."""
    tall = folder / "tall"
    tall.mkdir(exist_ok=True)
    frames = (np.full((960, 540, 3), 90, dtype=np.uint8) for _ in range(FRAMES))
    encode(frames, tall / "idle.mp4", rate=RATE, encoder="libx264")
    for name in ("atlas.jpg", "atlas.json", "mask.png", "roi.json"):
        shutil.copyfile(folder / name, tall / name)
    page_file = write_page(tall, "Wolfeschlegelsteinhausenbergerdorff " * 12, clip="idle.mp4")
    with open_page(page_file.as_uri()) as page:
        show(page, size)
        for element in ("canvas", "input[type=text]", "button[type=submit]"):
            box = page.evaluate(
                f"document.querySelector({json.dumps(element)}).getBoundingClientRect().toJSON()"
            )
            assert box["top"] >= 0, element
            assert box["bottom"] <= SIZES[size][1], element
            assert box["right"] <= SIZES[size][0], element
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no side scroll"
        shape = page.evaluate("canvas.clientWidth / canvas.clientHeight")
        assert shape == pytest.approx(540 / 960, abs=0.01)


CONTRASTS = """[...document.querySelectorAll(
  'h1, h2, figcaption, label, th, td, button, select, input[type=text], .status')].map((e) => {
  const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
  let ground = e;
  while (ground && rgb(getComputedStyle(ground).backgroundColor)[3] === 0) {
    ground = ground.parentElement;
  }
  const bright = (text) => { const [r, g, b] = rgb(text).map((v) => {
    v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const pair = [getComputedStyle(e).color, getComputedStyle(ground).backgroundColor];
  const [low, high] = pair.map(bright).sort((a, b) => a - b);
  return [e.tagName + ' ' + e.textContent, (high + 0.05) / (low + 0.05)];
})"""


@needs_chromium
def test_it_is_dark_or_light_as_the_reader_likes_and_legible_both_ways(page: Page) -> None:
    """By the contrast that WCAG asks for."""
    grounds = []
    press(page, "AI")  # pressed buttons are of another colour
    for scheme in ("light", "dark"):
        show(page, "desk", scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        for name, contrast in page.evaluate(CONTRASTS):
            assert contrast >= 4.5, (scheme, name)
    press(page, "AI")
    assert grounds == ["rgb(245, 244, 241)", "rgb(20, 22, 26)"]


@needs_chromium
def test_a_screen_reader_hears_a_name_for_all_that_can_be_used(page: Page) -> None:
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named: dict[str, list[str]] = {}
    for node in nodes:
        if not node["ignored"]:
            name = node.get("name", {}).get("value", "")
            named.setdefault(node["role"]["value"], []).append(name)
    assert named["heading"][0] == HOSTILE
    assert named["textbox"] == ["What to say"]
    assert named["image"] == [f"{HOSTILE}, moving"]
    assert [name for name in named["combobox"] if name] == ["Numbers in"]
    assert {"Speak", "Pause", "Mouth shape AI"} <= set(named["button"])
    assert all(named["button"])
    assert "main" in named
    assert "status" in named


def key(page: Page, name: str, code: int) -> None:
    text = {"text": "\r"} if name == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **text)


@needs_chromium
def test_it_is_used_by_keyboard_alone(folder: Path) -> None:
    with open_page((folder / "preview.html").as_uri()) as page:
        page.wait_for("document.querySelector('canvas').dataset.frame")
        order = []
        for _ in range(5):
            key(page, "Tab", 9)
            focused = "document.activeElement"
            order.append(page.evaluate(f"{focused}.id || {focused}.textContent || {focused}.type"))
            assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
        assert order == ["text", "Speak", "language", "pause", "Rest"]
        page.evaluate("document.querySelector('input[type=text]').focus()")
        key(page, "Enter", 13)
        assert page.evaluate("utterance !== null")


@needs_chromium
def test_it_says_what_it_cannot_speak_and_does_not_pretend(page: Page) -> None:
    def speak(text: str) -> str:
        page.evaluate(f"""
          document.querySelector('input[type=text]').value = {json.dumps(text)};
          document.querySelector('form').requestSubmit();
        """)
        return str(page.evaluate("document.querySelector('.status').textContent"))

    assert speak("你好，世界").startswith("This page cannot speak Chinese characters.")
    assert page.evaluate("utterance === null")
    assert speak("Hi 你好") == "Left out, because this page cannot speak it: Chinese characters."
    assert page.evaluate("utterance !== null")
    assert speak("Привет 42") == ""
    page.wait_for("utterance === null")


@needs_chromium
def test_it_can_be_paused(page: Page) -> None:
    page.evaluate("document.getElementById('pause').click()")
    assert page.evaluate("video.paused && document.querySelector('figure video').paused")
    page.evaluate("document.getElementById('pause').click()")
    page.wait_for("!video.paused")
