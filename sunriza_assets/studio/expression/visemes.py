"""The twelve visemes: what lips look like while they speak, and how other systems name the same.

Only data and look-ups; `lip_shapes` and the engines apply the shapes to a portrait.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

__all__ = [
    "ARKIT",
    "ARPABET",
    "AZURE",
    "OCULUS",
    "RHUBARB",
    "VISEMES",
    "LipShape",
    "Tongue",
    "viseme_maps",
]

Tongue = Literal["low", "up", "between"]


@dataclass(frozen=True, slots=True)
class LipShape:
    """One shape of the lips, as offsets from the portrait's own lips, closed."""

    opening: float
    """Gap between the inner lips in the middle of the mouth, IOD, >= 0."""
    width: float
    """Width of the mouth over its width at rest."""
    upper_share: float = 0.2
    """Share of the opening by which the upper lip rises; the lower lip falls by the rest."""
    puff: float = 1.0
    """Thickness of the lips over their thickness at rest; rounded lips show more red."""
    roll: float = 0.0
    """How far the red of the lips is rolled inwards, 0-1."""
    tuck: float = 0.0
    """How far the lower lip is rolled in under the upper teeth, which stand on it, 0-1."""
    tongue: Tongue = "low"
    """low: behind the lower teeth; up: tip at the ridge; between: tip between the teeth."""
    lower_teeth: bool = False
    """Whether the lower teeth are seen close under the upper ones."""


def _fixed(table: dict[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(table)


VISEMES: Final[Mapping[str, LipShape | None]] = _fixed(
    {
        "Rest": None,  # the portrait as it is, an open smile too
        "AI": LipShape(opening=0.24, width=0.98, upper_share=0.16),
        "E": LipShape(opening=0.105, width=1.10, upper_share=0.22),
        "U": LipShape(opening=0.045, width=0.70, upper_share=0.12, puff=1.18),
        "O": LipShape(opening=0.15, width=0.76, upper_share=0.20, puff=1.08),
        "MBP": LipShape(opening=0.0, width=0.98, roll=0.45),
        "FV": LipShape(opening=0.073, width=1.0, upper_share=0.55, tuck=1.0),
        "L": LipShape(opening=0.135, width=0.94, upper_share=0.20, tongue="up"),
        "WQ": LipShape(opening=0.03, width=0.54, upper_share=0.15, puff=1.25),
        "R": LipShape(opening=0.06, width=0.80, upper_share=0.30, puff=1.08),
        "CH": LipShape(opening=0.11, width=0.74, upper_share=0.36, puff=1.12, lower_teeth=True),
        "TH": LipShape(opening=0.105, width=1.0, upper_share=0.25, tongue="between"),
    }
)
"""Name -> shape in the order of the atlas; None leaves the lips as the portrait shows them."""

OCULUS: Final[Mapping[str, str]] = _fixed(
    {
        "sil": "Rest",
        "PP": "MBP",
        "FF": "FV",
        "TH": "TH",
        "DD": "L",  # t, d: the tip of the tongue at the ridge, teeth apart, as in l
        "kk": "E",  # k, g: nothing to be seen but slightly open lips
        "CH": "CH",
        "SS": "CH",
        "nn": "L",
        "RR": "R",
        "aa": "AI",
        "E": "E",
        "ih": "E",
        "oh": "O",
        "ou": "U",
    }
)
"""The 15 visemes of Oculus LipSync, which OpenXR's and ReadyPlayerMe's tools use too."""

AZURE: Final[Mapping[str, str]] = _fixed(
    {
        str(number): viseme
        for number, viseme in enumerate(
            [
                *("Rest", "AI", "AI", "O", "E", "R"),  # silence, æəʌ, ɑ, ɔ, ɛʊ, ɝ
                *("E", "U", "O", "AI", "O", "AI"),  # jiɪ, wu, o, aʊ, ɔɪ, aɪ
                *("E", "R", "L", "CH", "CH"),  # h, ɹ, l, sz, ʃtʃdʒʒ
                *("TH", "FV", "L", "E", "MBP"),  # ð, fv, dtnθ, kgŋ, pbm
            ]
        )
    }
)
"""The viseme ids 0-21 of Azure's speech service, as text."""

RHUBARB: Final[Mapping[str, str]] = _fixed(
    {
        "A": "MBP",
        "B": "CH",  # teeth together: most consonants
        "C": "E",
        "D": "AI",
        "E": "O",
        "F": "U",
        "G": "FV",
        "H": "L",
        "X": "Rest",
    }
)
"""The mouth shapes of Rhubarb Lip Sync, its three optional ones included."""

ARPABET: Final[Mapping[str, str]] = _fixed(
    {
        phoneme: viseme
        for viseme, phonemes in {
            "AI": "AA AE AH AW AY",
            "E": "EH EY IH IY HH K G NG Y",
            "U": "UH UW",
            "O": "AO OW OY",
            "MBP": "P B M",
            "FV": "F V",
            "L": "L T D N",
            "WQ": "W",
            "R": "R ER",
            "CH": "CH JH SH ZH S Z",
            "TH": "TH DH",
            "Rest": "SIL",
        }.items()
        for phoneme in phonemes.split()
    }
)
"""The 39 phonemes of American English, without stress digits, and SIL."""

ARKIT: Final[Mapping[str, Mapping[str, float]]] = _fixed(
    {
        "Rest": {},
        "AI": {"jawOpen": 0.55, "mouthLowerDown": 0.25, "mouthUpperUp": 0.15},
        "E": {"jawOpen": 0.25, "mouthStretch": 0.35, "mouthSmile": 0.2, "mouthLowerDown": 0.2},
        "U": {"jawOpen": 0.12, "mouthPucker": 0.65, "mouthFunnel": 0.2},
        "O": {"jawOpen": 0.4, "mouthFunnel": 0.65, "mouthPucker": 0.15},
        "MBP": {"mouthClose": 0.1, "mouthPress": 0.4, "mouthRollLower": 0.4, "mouthRollUpper": 0.3},
        "FV": {"jawOpen": 0.06, "mouthRollLower": 0.55, "mouthUpperUp": 0.25},
        "L": {"jawOpen": 0.28, "mouthLowerDown": 0.15, "mouthUpperUp": 0.1, "tongueOut": 0.1},
        "WQ": {"jawOpen": 0.08, "mouthPucker": 0.9},
        "R": {"jawOpen": 0.15, "mouthFunnel": 0.35, "mouthPucker": 0.2},
        "CH": {"jawOpen": 0.12, "mouthFunnel": 0.6, "mouthShrugUpper": 0.2},
        "TH": {"jawOpen": 0.16, "mouthUpperUp": 0.1, "tongueOut": 0.3},
    }
)
"""Viseme -> blend-shape weights in 0-1 that describe it. Names without a side hold for both
(mouthSmile: mouthSmileLeft and mouthSmileRight), as far as ARKit has sides for them."""


def viseme_maps() -> dict[str, Any]:
    """How other systems' names translate, the part `maps` of atlas.json."""
    return {
        "oculus": dict(OCULUS),
        "azure": dict(AZURE),
        "rhubarb": dict(RHUBARB),
        "arpabet": dict(ARPABET),
        "arkit": {viseme: _sided(weights) for viseme, weights in ARKIT.items()},
    }


# ARKit has a left and a right one of these.
_SIDED: Final = frozenset(
    {"mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp"}
)


def _sided(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights under ARKit's full names."""
    result: dict[str, float] = {}
    for name, weight in weights.items():
        sides = ("Left", "Right") if name in _SIDED else ("",)
        result.update({name + side: weight for side in sides})
    return result
