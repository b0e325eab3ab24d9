"""Avatars made with the real engine process: looked at, trimmed to the frame, previewed."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sunriza_assets.studio.media.info import VideoInfo
from sunriza_assets.studio.media.probe import probe
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.service.engine.conftest import RunningEngine, engine
from sunriza_assets_tests.service.studio.world import World, studio_world

__all__ = ["engine"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with studio_world(tmp_path_factory.mktemp("real")) as world:
        world.service.engine = engine.connect()
        yield world


def test_a_clip_is_cut_and_a_portrait_previewed(
    world: World, sample: Sample, tmp_path: Path
) -> None:
    client = world.client("u")
    files = {
        "portrait": ("p", sample.portrait.read_bytes()),
        "clip": ("c", sample.clip.read_bytes()),
    }
    looked = client.post("/inspect", files=files).json()
    assert looked["verdict"] in ("good", "advise"), looked
    answer = client.post("/avatars", files=files, data={"trim_start": "1", "trim_end": "3"})
    assert answer.status_code == 201, answer.text
    shown = answer.json()["avatar"]
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(client.get(shown["inputs"]["clip_url"]).content)
    info = probe(clip)
    assert isinstance(info, VideoInfo)
    assert float(info.duration) == pytest.approx(2.0, abs=0.05)
    pictures = []
    for emotion in ("neutral", "happy"):
        still = client.post(
            f"/avatars/{shown['id']}/preview", json={"parameters": {"emotion": emotion}}
        )
        assert still.status_code == 200, still.text
        pictures.append(np.asarray(Image.open(io.BytesIO(still.content)).convert("L"), float))
    assert max(pictures[0].shape) == 256
    assert np.abs(pictures[0] - pictures[1]).max() > 20


def test_a_picture_without_a_face_is_refused(world: World) -> None:
    noise = io.BytesIO()
    Image.fromarray(np.full((300, 300, 3), 120, np.uint8)).save(noise, "PNG")
    client = world.client("u")
    answer = client.post("/avatars", files={"portrait": ("p", noise.getvalue())})
    assert answer.status_code == 422
    assert list(world.service.uploads_folder.iterdir()) == []
