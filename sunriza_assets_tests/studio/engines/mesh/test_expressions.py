"""Single expressions: the same face as an idle in that emotion, without the idle."""

from collections.abc import Callable

import numpy as np
import pytest

from sunriza_assets.studio.contracts.engine import Expression, Image
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.engines.mesh.expressions import PreparedMeshPortrait
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import DEFAULTS, resolve


@pytest.fixture(scope="module")
def prepared(engine: MeshEngine, portrait: Image) -> PreparedMeshPortrait:
    return engine.prepare(portrait, DEFAULTS)


def difference(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def test_neutral_is_the_portrait(prepared: PreparedMeshPortrait, portrait: Image) -> None:
    assert np.array_equal(prepared.draw(Expression()), portrait)


def test_no_strength_is_neutral(prepared: PreparedMeshPortrait, portrait: Image) -> None:
    assert np.array_equal(prepared.draw(Expression("angry", 0.0)), portrait)


@pytest.mark.parametrize("emotion", ["happy", "surprised"])
def test_it_is_the_face_of_a_still_idle(
    prepared: PreparedMeshPortrait,
    engine: MeshEngine,
    portrait: Image,
    make_template: Callable[..., MotionTemplate],
    emotion: str,
) -> None:
    parameters = resolve({"emotion": emotion, "loop": False})
    frame = next(engine.render(portrait, make_template(), parameters).frames())
    drawn = prepared.draw(Expression(parameters.emotion))
    control = difference(frame, portrait)
    assert difference(frame, drawn) < 0.05 * control


def test_stronger_differs_more(prepared: PreparedMeshPortrait, portrait: Image) -> None:
    steps = [
        difference(prepared.draw(Expression("happy", strength)), portrait)
        for strength in (0.25, 0.5, 0.75, 1.0)
    ]
    assert steps == sorted(steps)
    assert steps[0] > 0.05


def test_visemes_differ_in_the_mouth_alone(prepared: PreparedMeshPortrait) -> None:
    opened = prepared.draw(Expression(viseme="AI"))
    closed = prepared.draw(Expression(viseme="MBP"))
    changed = np.abs(opened.astype(int) - closed).max(axis=2) > 8
    rows = np.flatnonzero(changed.any(axis=1))
    assert rows.size
    assert rows.min() > opened.shape[0] * 0.3  # brows and eyes stay as they are
