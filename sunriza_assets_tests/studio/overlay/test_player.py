"""preview.html in a real browser: it plays, the mouth follows the head, it speaks, all offline."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from sunriza_assets.studio.contracts.roi import read_roi
from sunriza_assets.studio.media.encode import VideoWriter
from sunriza_assets.studio.overlay.mask import write_mask
from sunriza_assets.studio.overlay.player import write_player
from sunriza_assets_tests.browser import Page, open_page
from sunriza_assets_tests.studio.overlay.player_page import (
    AWHILE,
    HOSTILE,
    LOOK,
    RATE,
    ROI,
    SPEAK,
    assert_frames_are_what_they_say,
    needs_chromium,
    press,
)
from sunriza_assets_tests.studio.overlay.speaking import SIZE, cells


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
    assert page.evaluate(f"{SPEAK} utterance !== null")
    page.wait_for("utterance === null && document.querySelector('canvas').dataset.viseme === ''")


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
