"""The ROI and its track: exact enough on disk, and checked against the idle they belong to."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sunriza_assets.errors import EngineError, MediaError
from sunriza_assets.studio.contracts.roi import Roi, read_roi, roi_problems, write_roi

SIZE = (512, 512)
ROI = Roi(180, 300, 140, 90)


def nodding(count: int) -> np.ndarray:
    """(T, 2, 3) a head that tilts and drifts."""
    phase = np.arange(count) / 7
    turn, scale = 0.05 * np.sin(phase), 1 + 0.02 * np.cos(phase)
    track = np.zeros((count, 2, 3))
    track[:, 0, 0] = track[:, 1, 1] = scale * np.cos(turn)
    track[:, 1, 0] = scale * np.sin(turn)
    track[:, 0, 1] = -track[:, 1, 0]
    track[:, :, 2] = np.stack([4 * np.sin(phase), 3 * np.cos(phase)], axis=1)
    return track


def test_the_track_on_disk_is_good_to_a_fiftieth_of_a_pixel(tmp_path: Path) -> None:
    track = nodding(250)
    write_roi(ROI, track, tmp_path / "roi.json")
    roi, back = read_roi(tmp_path / "roi.json")
    assert roi == ROI
    corners = np.array([[180, 300], [320, 390], [320, 300], [180, 390]], dtype=float)
    move = lambda m: corners @ m[:, :, :2].swapaxes(1, 2) + m[:, None, :, 2]  # noqa: E731
    assert np.abs(move(track) - move(back)).max() < 0.02
    assert (tmp_path / "roi.json").stat().st_size < 250 * 60
    assert roi_problems(json.loads((tmp_path / "roi.json").read_text()), SIZE, 250) == []


def test_a_reader_that_knows_no_track_finds_the_rectangle(tmp_path: Path) -> None:
    write_roi(ROI, nodding(3), tmp_path / "roi.json")
    document = json.loads((tmp_path / "roi.json").read_text())
    assert {name: document[name] for name in "xywh"} == {"x": 180, "y": 300, "w": 140, "h": 90}


def broken(**changes: Any) -> dict[str, Any]:
    return ROI.to_document(nodding(4)) | changes


FAR = (nodding(4) + np.array([0, 0, 900.0])).tolist()
HUGE = (nodding(4) * 3).tolist()


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (broken(x=500), "outside the idle"),
        (broken(y=-1), "outside the idle"),
        (broken(track=broken()["track"][:3]), "3 transforms for 4 frames"),
        (broken(track=[]), "0 transforms for 4 frames"),
        (broken(track=FAR), "leaves the idle's frame"),
        (broken(track=HUGE), "scales the mouth"),
        (broken(track=[[1, 2], [3]]), "cannot be read"),
        (broken(track=[[[1, 0, float("nan")], [0, 1, 0]]] * 4), "numbers that are none"),
        (broken(w=0), "no area"),
        (broken(x=1.5), "not whole numbers"),
        ({"x": 1}, "cannot be read"),
    ],
)
def test_each_fault_is_told(document: dict[str, Any], told: str) -> None:
    assert any(told in problem for problem in roi_problems(document, SIZE, 4))


def test_reading_refuses_what_is_no_roi(tmp_path: Path) -> None:
    file = tmp_path / "roi.json"
    for text in ("", "[]", "7", '{"x": 1}', json.dumps(broken(h=-3))):
        file.write_text(text)
        with pytest.raises(MediaError):
            read_roi(file)
    with pytest.raises(EngineError, match="no area"):
        Roi(0, 0, 10, 0)
