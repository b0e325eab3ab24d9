"""The emotions of a portrait, in terms that all engines share.

Only data; each engine implements them. The muscles of an emotion are Ekman's: the six basic
emotions and their action units (AU) as EMFACS lists them (Ekman & Friesen, Facial Action Coding
System, 1978; Friesen & Ekman, EMFACS-7, 1983). The amounts are ours, well inside what faces do (a
brow rises by a tenth of the IOD, a corner of the mouth by as much). They were searched on a dozen
portraits with two expression classifiers and judged by eye; see docs/emotions.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["EMOTIONS", "Crease", "Emotion", "emotion_of"]

Crease = Literal[
    "frown",
    "nose_root",
    "nasolabial",
    "forehead",
    "brow_worry",
    "mouth_droop",
    "chin",
    "eye_bag",
    "socket",
]
"""A group of creases that one muscle folds: see `drawing.creases`."""

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
    brow_arch: float = 0.0
    """Rise of the brows' middle above the line between their ends."""
    eyes: float = 1.0
    """Opening of the eyes over their opening in the portrait, as the upper lids make it."""
    squint: float = 0.0
    """Share of the eyes' opening by which the lower lids rise."""
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
    upper_lip: float = 0.0
    """Rise of the upper lip alone, which bares the upper teeth."""
    lower_lip: float = 0.0
    """Fall of the lower lip alone, beside its middle."""
    opening: float | None = None
    """Gap between the inner lips in the middle of the mouth; None leaves it to the portrait."""
    creases: Mapping[Crease, float] = field(default_factory=dict, hash=False)
    """How deep each crease of the skin is, 0-1."""

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
        # AU6 cheeks raised, which narrows the eyes from below; AU12 corners pulled up and out. The
        # lips stay as they are: a smile that bares teeth needs a photo that has some.
        "happy": Emotion(
            cheeks=0.04, eyes=0.93, squint=0.12, corners=0.36, width=1.26,
            creases={"nasolabial": 0.4, "eye_bag": 0.4},
        ),
        # AU1 inner brow raised, AU4 brows drawn together, AU15 corners pulled down, AU17 both lips
        # pushed up by the chin; tired lids.
        "sad": Emotion(
            inner_brow=0.1, outer_brow=-0.031, brow_pinch=0.035, brow_arch=-0.035, eyes=0.7,
            squint=0.2, corners=-0.37, width=0.9, lips=0.013, lower_lip=0.005, opening=0.0,
            creases={"brow_worry": 0.95, "mouth_droop": 0.55, "chin": 0.5, "nasolabial": 0.3},
        ),
        # AU4 brows lowered and together, AU5 with AU7 a tight stare, AU17, AU23, AU24 lips pressed
        # together and tightened.
        "angry": Emotion(
            inner_brow=-0.09, outer_brow=0.055, brow_pinch=0.038, brow_arch=-0.015, eyes=1.18,
            squint=0.19, nose=0.025, corners=-0.21, width=0.78, lips=0.022, lower_lip=-0.01,
            opening=0.0,
            creases={"frown": 1.0, "socket": 1.0, "nasolabial": 0.15, "chin": 0.35},
        ),
        # AU1, AU2 whole brows raised, AU5 upper lids raised, AU26 jaw dropped.
        "surprised": Emotion(
            inner_brow=0.098, outer_brow=0.098, brow_arch=0.02, eyes=1.32, corners=-0.10,
            width=0.79, opening=0.26, creases={"forehead": 0.7},
        ),
        # AU1, AU2, AU4 brows raised and straightened, AU5 upper lids raised, AU7 lower lids tense,
        # AU20 lips stretched, AU26 jaw dropped.
        "fearful": Emotion(
            inner_brow=0.1, outer_brow=-0.015, brow_pinch=0.037, brow_arch=-0.03, eyes=1.38,
            nose=0.025, corners=-0.30, width=1.20, lips=0.008, lower_lip=0.015, opening=0.08,
            creases={"brow_worry": 1.0, "forehead": 0.85, "eye_bag": 0.4},
        ),
        # AU9 nose wrinkled, which lowers the brows; AU10 upper lip raised, AU16 lower lip lowered;
        # AU6, AU7 lower lids raised.
        "disgusted": Emotion(
            inner_brow=-0.074, outer_brow=-0.02, brow_pinch=0.023, eyes=0.7, squint=0.32,
            cheeks=0.08, nose=0.1, corners=-0.285, width=0.88, lips=0.035, upper_lip=0.085,
            lower_lip=0.05, opening=0.06,
            creases={
                "nose_root": 1.0, "nasolabial": 1.0, "frown": 1.0, "eye_bag": 0.25, "socket": 0.1,
            },
        ),
    }
)  # fmt: skip
"""Name -> emotion; None changes nothing."""


def emotion_of(name: str, strength: float) -> tuple[Emotion, float] | None:
    """The requested emotion and its strength (0-1); None where nothing changes."""
    emotion = EMOTIONS[name]
    return None if emotion is None or strength == 0.0 else (emotion, strength)
