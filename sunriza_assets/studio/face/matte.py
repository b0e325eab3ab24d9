"""Segmentation of the person in a picture from the background."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.runtime import Graph

__all__ = ["PersonMatte"]

MODEL: Final = "selfie_segmentation"
SIZE: Final = 256
"""Side of the model's input, pixels; pictures are squeezed to a square, as it was trained."""


class PersonMatte:
    """MediaPipe's selfie segmentation. Stateless: keeps nothing of the pictures."""

    def __init__(self, models: ModelStore, *, threads: int = 1) -> None:
        """Load the model.

        Raises:
            ModelError: it has not been pulled.
        """
        self._graph = Graph(models.path(MODEL), threads=threads)

    @property
    def provider(self) -> str:
        """The execution provider it runs on, for metadata."""
        return self._graph.provider

    def matte(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability of a person, (H, W) in 0..1, for an RGB picture (H, W, 3).

        The model sees 256x256 pixels: hair is soft in the result, and single strands are not in it.
        """
        height, width = image.shape[:2]
        mode = cv2.INTER_AREA if max(height, width) > SIZE else cv2.INTER_LINEAR
        small = cv2.resize(image, (SIZE, SIZE), interpolation=mode)
        outputs = self._graph.run(np.multiply(small[None], 1 / 255, dtype=np.float32))
        matte = outputs["matte"].reshape(SIZE, SIZE)
        full = cv2.resize(matte, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.clip(full, 0, 1)
