"""The engine process over its socket: pictures, errors, life and death."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resources.home import Home
from sunriza_assets.costs.manifest import sha256_of
from sunriza_assets.errors import FaceError, MediaError, ParameterError
from sunriza_assets.service.engine_socket import EngineSocket
from sunriza_assets.studio.marks.key import known_roots
from sunriza_assets.studio.marks.reading import read_mark_in_process
from sunriza_assets_tests.service.engine.conftest import RENDER, RunningEngine, calling


def pixels(path: Path) -> np.ndarray:
    """(H, W, 3) of a picture."""
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_it_says_what_draws(engine: RunningEngine) -> None:
    facts = calling(engine, lambda client: client.facts())
    assert (facts.ready, facts.engine, facts.gpu_name, facts.problem) == (True, "mesh", None, None)


def test_a_picture_is_drawn_once_and_has_a_name_of_its_own_each_time(
    engine: RunningEngine, portrait: Path
) -> None:
    async def twice(client: EngineSocket) -> list[Any]:
        return [(await client.render(portrait, ["happy"], **RENDER))[0] for _ in range(2)]

    first, second = calling(engine, twice)
    assert (first.cached, second.cached) == (False, True)
    assert first.path != second.path
    assert first.path.read_bytes() == second.path.read_bytes()
    assert re.fullmatch(r"[0-9a-f]{32}\.png", first.path.name)
    assert (first.width, first.height) == Image.open(first.path).size == (300, 400)
    first.path.unlink()
    assert second.path.exists()


def test_nothing_of_the_upload_but_its_pixels_is_in_a_picture(
    engine: RunningEngine, portrait: Path
) -> None:
    for output_format, kind in (("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")):
        wish = RENDER | {"output_format": output_format}
        (made,) = calling(engine, lambda client, w=wish: client.render(portrait, ["sad"], **w))
        data = made.path.read_bytes()
        assert Image.open(made.path).format == kind
        assert b"taken at home" not in data
        assert b"Synthetic picture" in data
        mark = read_mark_in_process(made.path, roots=known_roots(Home(engine.home).keys).decode())
        assert (mark.state, mark.own, mark.source) == ("valid", True, "compositeSynthetic")
        assert mark.inputs == (("portrait", sha256_of(portrait)),)


def test_intensity_0_is_the_portrait_itself(engine: RunningEngine, portrait: Path) -> None:
    wish = RENDER | {"intensity": 0.0}
    angry, neutral = calling(
        engine, lambda client: client.render(portrait, ["angry", "neutral"], **wish)
    )
    assert np.array_equal(pixels(angry.path), pixels(neutral.path))
    assert np.array_equal(pixels(angry.path), pixels(portrait))
    (moved,) = calling(engine, lambda client: client.render(portrait, ["angry"], **RENDER))
    assert np.abs(pixels(moved.path) - pixels(portrait)).max() > 30


def test_pictures_stay_within_width_and_height(engine: RunningEngine, portrait: Path) -> None:
    for bounds, size in (
        ((None, 200), (150, 200)),
        ((64, None), (64, 85)),
        ((2048, 2048), (300, 400)),
    ):
        wish = RENDER | dict(zip(("width", "height"), bounds, strict=True))
        (made,) = calling(engine, lambda client, w=wish: client.render(portrait, ["sad"], **w))
        assert (made.width, made.height) == Image.open(made.path).size == size


def test_named_errors_come_back_as_they_were_raised(
    engine: RunningEngine, portrait: Path, tmp_path: Path
) -> None:
    text, empty = tmp_path / "text", tmp_path / "grey.png"
    text.write_text("no picture")
    Image.new("RGB", (300, 300), "grey").save(empty)
    for path, emotions, kind, code in (
        (text, ["happy"], MediaError, "media.unsupported"),
        (empty, ["happy", "sad"], FaceError, "face.none"),
        (portrait, ["bored"], ParameterError, "parameter.unknown"),
        (portrait, ["sad"] * 17, ParameterError, "parameter.out_of_range"),
    ):
        with pytest.raises(kind) as refusal:
            calling(engine, lambda client, p=path, e=emotions: client.render(p, e, **RENDER))
        assert refusal.value.code == code
