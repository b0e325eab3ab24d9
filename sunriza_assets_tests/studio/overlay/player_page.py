"""A published avatar with known pixels and its page, for the tests of preview.html in a browser."""

import json
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from sunriza_assets.studio.contracts.roi import Roi
from sunriza_assets_tests.browser import Page, chromium
from sunriza_assets_tests.studio.overlay.speaking import SIZE

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


AWHILE = "new Promise((done) => setTimeout(() => done(true), 130))"


SPEAK = """
  document.querySelector('input[type=text]').value = 'Papa, we fly!';
  document.querySelector('form').requestSubmit();
"""


def assert_frames_are_what_they_say(page: Page) -> None:
    looks = [page.evaluate(LOOK) for _ in range(12) if page.evaluate(AWHILE)]
    assert len({look[0] for look in looks}) > 3
    for frame, bar, *_ in looks:
        assert bar == pytest.approx(bar_place(frame), abs=2.0)
