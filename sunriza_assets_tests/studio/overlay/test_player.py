"""preview.html in a real browser: it plays, the mouth follows the head, it speaks, all offline."""

import html
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from sunriza_assets.studio.contracts.roi import Roi, read_roi, write_roi
from sunriza_assets.studio.media.encode import VideoWriter, encode
from sunriza_assets.studio.overlay.atlas import write_atlas
from sunriza_assets.studio.overlay.mask import write_mask
from sunriza_assets.studio.overlay.player import write_player
from sunriza_assets_tests.browser import Page, chromium, open_page
from sunriza_assets_tests.studio.overlay.speaking import SIZE, cells

ROI = Roi(101, 120, 93, 61)
RATE = Fraction(25)
FRAMES = 50
BAR_ROWS, BAR_WIDTH = 24, 12
HOSTILE = "</script><script>alert(1)</script> & <b>Ava</b>"

needs_chromium = pytest.mark.skipif(chromium() is None, reason="no chromium here; CI brings it")


def bar_place(frame: int) -> float:
    """Where the middle of frame k's bar is, so that a frame can be told from its pixels."""
    return 20.0 + 5.5 * frame


def idle_frames() -> Iterator[np.ndarray]:
    for k in range(FRAMES):
        frame = np.full((SIZE[1], SIZE[0], 3), 90, dtype=np.uint8)
        left = round(bar_place(k) - BAR_WIDTH / 2)
        frame[:BAR_ROWS, left : left + BAR_WIDTH] = 255
        yield frame


def nodding() -> np.ndarray:
    phase = 2 * np.pi * np.arange(FRAMES) / FRAMES
    track = np.zeros((FRAMES, 2, 3))
    turn = 0.1 * np.sin(phase)
    track[:, 0, 0] = track[:, 1, 1] = 1.05 * np.cos(turn)
    track[:, 1, 0], track[:, 0, 1] = 1.05 * np.sin(turn), -1.05 * np.sin(turn)
    track[:, :, 2] = np.stack([12 * np.sin(phase), 8 * np.cos(phase)], axis=1)
    return track


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published avatar whose cells are plain red, and its page."""
    folder = tmp_path_factory.mktemp("avatar")
    made = cells(ROI)
    for cell in made.cells.values():
        cell[...] = (220, 20, 20)
    encode(idle_frames(), folder / "idle.mp4", rate=RATE, encoder="libx264")
    write_atlas(made, folder)
    write_mask(made, folder / "mask.png")
    write_roi(ROI, nodding(), folder / "roi.json")
    write_player(
        folder / "preview.html",
        title=HOSTILE,
        idle=folder / "idle.mp4",
        atlas=folder,
        mask=folder / "mask.png",
        roi=folder / "roi.json",
        clip=folder / "idle.mp4",
        tables={"Parameters": {"loop": True, "gain": 1.5, "seconds": None, HOSTILE: HOSTILE}},
    )
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    with open_page((folder / "preview.html").as_uri()) as page:
        page.wait_for("document.querySelector('canvas').dataset.frame")
        yield page


def press(page: Page, viseme: str) -> None:
    find = "[...document.querySelectorAll('.keys button')].find(b => b.textContent === %s)"
    page.evaluate(f"({find % json.dumps(viseme)}).click()")


# Frame number, middle of the bar and middle of the red mouth, all of one and the same drawing.
LOOK = f"""(() => {{
  const c = document.querySelector('canvas');
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let bar = 0, bars = 0, x = 0, y = 0, reds = 0;
  for (let r = 0; r < c.height; r++) for (let k = 0; k < c.width; k++) {{
    const i = 4 * (r * c.width + k);
    if (r < {BAR_ROWS // 2} && d[i] > 180 && d[i + 1] > 180) {{ bar += k + 0.5; bars++; }}
    const red = Math.max(0, (d[i] - d[i + 1]) / 200);
    if (red > 0.1) {{ x += red * (k + 0.5); y += red * (r + 0.5); reds += red; }}
  }}
  return [Number(c.dataset.frame), bar / bars, x / reds, y / reds, reds];
}})()"""  # fmt: skip


def assert_frames_are_what_they_say(page: Page) -> None:
    looks = [page.evaluate(LOOK) for _ in range(12) if page.evaluate(AWHILE)]
    assert len({look[0] for look in looks}) > 3
    for frame, bar, *_ in looks:
        assert bar == pytest.approx(bar_place(frame), abs=2.0)


@needs_chromium
def test_frames_advance_and_each_is_the_one_it_says(page: Page) -> None:
    assert_frames_are_what_they_say(page)


@needs_chromium
def test_a_page_that_is_told_late_still_says_which_frame_it_shows(folder: Path) -> None:
    with open_page((folder / "preview.html").as_uri()) as page:
        page.wait_for("document.querySelector('canvas').dataset.frame")
        page.evaluate("""
          const tell = video.requestVideoFrameCallback.bind(video);
          video.requestVideoFrameCallback = (told) =>
            tell((...what) => setTimeout(() => told(...what), 60));
        """)
        assert_frames_are_what_they_say(page)


AWHILE = "new Promise((done) => setTimeout(() => done(true), 130))"


@needs_chromium
def test_the_mouth_follows_the_head(page: Page, folder: Path) -> None:
    _, track = read_roi(folder / "roi.json")
    made = cells(ROI)
    mask = write_mask(made, folder / "again.png").astype(float)
    y, x = np.mgrid[: ROI.h, : ROI.w] + 0.5
    middle = np.array([(mask * x).sum(), (mask * y).sum()]) / mask.sum() + [ROI.x, ROI.y]
    press(page, "AI")
    page.wait_for("presence === 1")
    looks = [page.evaluate(LOOK) for _ in range(12) if page.evaluate(AWHILE)]
    press(page, "AI")
    assert np.ptp([look[3] for look in looks]) > 8, "the head stood still: nothing was tested"
    for frame, _, *mouth, _ in looks:
        expected = track[frame, :, :2] @ middle + track[frame, :, 2]
        np.testing.assert_allclose(mouth, expected, atol=0.7)


@needs_chromium
def test_it_is_the_idle_alone_while_it_is_silent(page: Page) -> None:
    page.wait_for("document.querySelector('canvas').dataset.viseme === ''")
    assert page.evaluate(LOOK)[4] < 5


SPEAK = """
  document.querySelector('input[type=text]').value = 'Papa, we fly!';
  document.querySelector('form').requestSubmit();
"""


@needs_chromium
def test_a_sentence_is_spoken_viseme_by_viseme(folder: Path) -> None:
    """By a clock of the test's own: a page that is held up rightly leaves shapes out."""
    with open_page((folder / "preview.html").as_uri()) as page:
        page.wait_for("document.querySelector('canvas').dataset.frame")
        heard = page.evaluate(f"""(() => {{
          let now = performance.now();
          performance.now = () => now;
          window.requestAnimationFrame = () => 0;
          {SPEAK}
          const heard = [];
          for (let k = 0; k < 300; k++, now += 16) {{
            draw(now);
            const shape = document.querySelector('canvas').dataset.viseme;
            if (heard[heard.length - 1] !== shape) heard.push(shape);
          }}
          return heard;
        }})()""")
    spoken = [viseme for viseme in heard if viseme not in ("", "Rest")]
    assert spoken == ["MBP", "AI", "MBP", "AI", "WQ", "E", "FV", "L", "E"]
    assert heard[-1] == ""


@needs_chromium
def test_speech_begins_when_it_is_asked_for_and_ends_by_itself(page: Page) -> None:
    assert page.evaluate(f"{SPEAK} saying !== null")
    page.wait_for("saying === null && document.querySelector('canvas').dataset.viseme === ''")


@needs_chromium
def test_it_asks_no_network_and_reports_no_error(page: Page) -> None:
    assert page.requests
    assert all(url.startswith(("file:", "data:", "blob:")) for url in page.requests)
    assert page.errors == []


@needs_chromium
def test_names_are_shown_and_never_run(page: Page) -> None:
    assert page.evaluate("document.querySelector('h1').textContent") == HOSTILE
    assert page.evaluate("document.querySelectorAll('h1 b, td b, th b').length") == 0
    assert page.evaluate("document.title") == HOSTILE
    cells_shown = page.evaluate("[...document.querySelectorAll('td')].map((c) => c.textContent)")
    assert cells_shown == ["yes", "1.5", "–", HOSTILE]
    assert page.evaluate("!document.querySelector('figure.clip').hidden")


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
        assert page.evaluate("saying !== null")


@needs_chromium
def test_it_says_what_it_cannot_speak_and_does_not_pretend(page: Page) -> None:
    def speak(text: str) -> str:
        page.evaluate(f"""
          document.querySelector('input[type=text]').value = {json.dumps(text)};
          document.querySelector('form').requestSubmit();
        """)
        return str(page.evaluate("document.querySelector('.status').textContent"))

    assert speak("你好，世界").startswith("This page cannot speak Chinese characters.")
    assert page.evaluate("saying === null")
    assert speak("Hi 你好") == "Left out, because this page cannot speak it: Chinese characters."
    assert page.evaluate("saying !== null")
    assert speak("Привет 42") == ""
    page.wait_for("saying === null")


@needs_chromium
def test_it_can_be_paused(page: Page) -> None:
    page.evaluate("document.getElementById('pause').click()")
    assert page.evaluate("video.paused && document.querySelector('figure video').paused")
    page.evaluate("document.getElementById('pause').click()")
    page.wait_for("!video.paused")


def test_a_large_clip_goes_in_as_a_small_copy(folder: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 854, 3), dtype=np.uint8)
    with VideoWriter(tmp_path / "clip.mp4", rate=RATE, crf=1, encoder="libx264") as writer:
        for k in range(8):
            writer.write(np.roll(noise, 7 * k, axis=1))
    clip = tmp_path / "clip.mp4"
    with clip.open("ab") as file:  # a clip as large as a phone's, without encoding one
        file.truncate(8_000_000)
    published = {"idle": folder / "idle.mp4", "atlas": folder, "mask": folder / "mask.png"}
    size = write_player(
        tmp_path / "a.html", title="A", roi=folder / "roi.json", clip=clip, **published
    )
    assert size == (tmp_path / "a.html").stat().st_size < 3_000_000


LINKS = {"idle": "made/idle 1.mp4", "atlas": "made/atlas.jpg", "clip": "made/idle 1.mp4"}


@pytest.fixture(scope="module")
def linked(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same page with its files beside it."""
    place = tmp_path_factory.mktemp("linked")
    (place / "made").mkdir()
    shutil.copyfile(folder / "idle.mp4", place / "made" / "idle 1.mp4")
    shutil.copyfile(folder / "atlas.jpg", place / "made" / "atlas.jpg")
    write_player(
        place / "preview.html",
        title="Ava",
        idle=folder / "idle.mp4",
        atlas=folder,
        mask=folder / "mask.png",
        roi=folder / "roi.json",
        clip=folder / "idle.mp4",
        links={name: link.replace(" ", "%20") for name, link in LINKS.items()},
    )
    return place / "preview.html"


def test_what_lies_beside_the_page_is_not_in_it(linked: Path) -> None:
    text = linked.read_text("utf-8")
    assert "data:video" not in text
    assert "data:image/jpeg" not in text
    assert linked.stat().st_size < 60_000


@needs_chromium
def test_a_page_from_disk_plays_what_lies_beside_it(linked: Path) -> None:
    with open_page(linked.as_uri()) as page:
        page.wait_for("document.querySelector('canvas').dataset.frame > 3")
        press(page, "AI")
        page.wait_for("document.querySelector('canvas').dataset.viseme === 'AI'")
        assert page.evaluate("document.querySelector('figure.clip video').videoWidth") == SIZE[0]


@needs_chromium
def test_a_served_page_still_knows_each_frame(linked: Path) -> None:
    """Read from its pixels, which a browser allows where page and video come from one server."""
    with serving(linked.parent) as address, open_page(f"{address}/preview.html") as page:
        page.wait_for("document.querySelector('canvas').dataset.frame")
        assert_frames_are_what_they_say(page)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
