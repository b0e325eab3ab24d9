"""The emotions of a portrait, in terms that all engines share.

Only data; each engine implements them. The muscles of an emotion are Ekman's: the six basic
emotions and their action units (AU) as EMFACS lists them (Ekman & Friesen, Facial Action Coding
System, 1978; Friesen & Ekman, EMFACS-7, 1983). The amounts are ours, well inside what faces do (a
brow rises by a tenth of the IOD, a corner of the mouth by as much), and were judged by eye on
portraits at full strength.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["EMOTIONS", "Emotion", "emotion_of"]

_MIN_SMILE_SHARE: Final = 0.35
"""Share of a smile that is added to a face that smiles already."""
_SMILE_WIDENS: Final = 0.6
"""Mouth widths that a smile which is undone gives back, for each half width of its height."""


@dataclass(frozen=True, slots=True)
class Emotion:
    """An emotion at full strength. Lengths are in IOD, the distance of the outer eye corners."""

    inner_brow: float = 0.0
    """Rise of the brows' inner ends; less than 0 lowers them."""
    outer_brow: float = 0.0
    """The same of the outer ends; between the two it changes evenly."""
    brow_pinch: float = 0.0
    """How far each inner end goes towards the other."""
    eyes: float = 1.0
    """Opening of the eyes over their opening in the portrait."""
    cheeks: float = 0.0
    """Rise of the cheeks below the eyes."""
    nose: float = 0.0
    """Rise of the wings of the nose."""
    corners: float = 0.0
    """Height of the corners of the mouth over its middle in half mouth widths: above 0 a smile,
    which adds to a portrait's own what is missing; else level or a droop, which undo it first."""
    width: float = 1.0
    """Width of the mouth over its width in the portrait."""
    lips: float = 0.0
    """Rise of the middle of both lips."""
    opening: float | None = None
    """Gap between the inner lips in the middle of the mouth; None leaves it to the portrait."""

    def corner_lift(self, smile: float) -> float:
        """How far the corners go up on a face whose own are up by `smile`; half mouth widths."""
        if self.corners > 0.0:
            return max(self.corners - smile, _MIN_SMILE_SHARE * self.corners)
        return self.corners - smile

    def mouth_width(self, smile: float) -> float:
        """Width of the mouth over its width on a face that smiles by `smile`, which widens it."""
        return self.width - (_SMILE_WIDENS * smile if self.corners <= 0.0 else 0.0)


EMOTIONS: Final[Mapping[str, Emotion | None]] = MappingProxyType(
    {
        "neutral": None,  # the portrait's own face, whatever it is
        # AU6 cheeks raised, which narrows the eyes; AU12 corners pulled up and out. The lips stay
        # as they are: a smile that bares teeth needs a photo that has some.
        "happy": Emotion(
            cheeks=0.035, eyes=0.88, corners=0.33, width=1.24
        ),
        # AU1 inner brow raised, AU4 brows drawn together, AU15 corners pulled down; tired lids.
        "sad": Emotion(
            inner_brow=0.055, outer_brow=-0.02, brow_pinch=0.02, eyes=0.82, corners=-0.14,
            width=0.97, opening=0.0,
        ),
        # AU4 brows lowered and together, AU5 with AU7 a tight stare, AU23 lips tightened.
        "angry": Emotion(
            inner_brow=-0.06, outer_brow=0.005, brow_pinch=0.035, eyes=0.92, corners=-0.08,
            width=0.93, opening=0.0,
        ),
        # AU1, AU2 whole brows raised, AU5 upper lids raised, AU26 jaw dropped.
        "surprised": Emotion(
            inner_brow=0.08, outer_brow=0.08, eyes=1.18, corners=-0.05, width=0.88,
            opening=0.115,
        ),
        # AU1, AU2, AU4 brows raised and straightened, AU5, AU20 lips stretched, AU26 jaw dropped.
        "fearful": Emotion(
            inner_brow=0.075, outer_brow=0.025, brow_pinch=0.03, eyes=1.18, corners=-0.10,
            width=1.10, opening=0.055,
        ),
        # AU9 nose wrinkled, which lowers the brows and raises the upper lip; AU15, AU17.
        "disgusted": Emotion(
            inner_brow=-0.045, outer_brow=-0.02, brow_pinch=0.02, eyes=0.78, cheeks=0.03,
            nose=0.03, corners=-0.14, width=0.96, lips=0.025, opening=0.0,
        ),
    }
)  # fmt: skip
"""Name -> emotion; None changes nothing."""


def emotion_of(name: str, strength: float) -> tuple[Emotion, float] | None:
    """The requested emotion and its strength (0-1); None where nothing changes."""
    emotion = EMOTIONS[name]
    return None if emotion is None or strength == 0.0 else (emotion, strength)
