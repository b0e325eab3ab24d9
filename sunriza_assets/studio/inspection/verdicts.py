"""From figures to findings: the bounds, each with what it was measured on.

Good material in the figures below: eight portraits (paintings, old and new photographs, the sample)
and seven clips of real people.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from sunriza_assets.studio.inspection.figures import FaceFigures
from sunriza_assets.studio.inspection.findings import Finding
from sunriza_assets.studio.motion.continuity import SHORTEST_PART_S

__all__ = ["ClipFigures", "clip_findings", "portrait_findings"]

LEAST_IOD: Final = 20.0
"""Below, a mouth is six pixels wide and landmarks jump by more than it moves."""
SMALL_IOD: Final = 50.0
"""Good portraits have 69 px and more; the idle looks soft on a phone below this."""
SMALL_CLIP_IOD: Final = 40.0
"""In a clip only motion is read; good ones have 135 px and more."""
TURNED: Final = 25.0
"""Degrees of yaw or pitch; good portraits reach 17 and 6, talking people 11."""
LEANING: Final = 20.0
"""Degrees of roll; good portraits reach 3.3."""
WIDE_OPEN: Final = 0.25
"""Gap of the lips, IOD; smiling portraits reach 0.11, a scream has 0.38, talking peaks 0.21."""
EYES_CLOSED: Final = 0.14
"""Opening over width; narrow open eyes have 0.22, closed ones 0.04 to 0.1."""
DARK: Final = 80.0
"""Luma of the highlights; good material has 143 and more, at a third of its light 70."""
BLURRED: Final = 0.80
"""Good material reaches 0.76; a blur of 0.03 IOD gives 0.84 and more."""
CUT_OFF: Final = 0.05
"""Share of the face's box beyond the picture."""
MOSTLY: Final = 0.9
"""Share of looks at a clip that must show the face, less is worth a word."""


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """What was seen in the part of a clip that is used."""

    seconds: float
    """Length of the whole clip."""
    used_seconds: float
    """Length of the part that is used, at most."""
    present: float
    """Share of looks that showed a face, 0..1."""
    lost: str | None
    """Why the face cannot be followed, as the render would say it; None when it can be."""
    several: float
    """Share of looks that showed more than one face of comparable size, 0..1."""
    face: FaceFigures | None
    """The face as it is in the middle of what was seen; None when there is none."""


def portrait_findings(face: FaceFigures) -> list[Finding]:
    """What is worth saying about the one face of a portrait."""
    return [*_size("portrait", face.iod, SMALL_IOD), *_portrait_advice(face)]


def clip_findings(clip: ClipFigures) -> list[Finding]:
    """What is worth saying about a clip."""
    return list(_clip_findings(clip))


def _clip_findings(clip: ClipFigures) -> Iterator[Finding]:
    if clip.lost is not None:
        code = "no_face" if clip.present == 0 else "face_lost"
        yield Finding("clip", code, "refuse", clip.lost, clip.present, MOSTLY)
    elif clip.present < MOSTLY:
        yield Finding(
            "clip",
            "face_hidden",
            "advise",
            f"The face is seen in {clip.present:.0%} of the clip; the rest is filled or left out.",
            clip.present,
            MOSTLY,
        )
    if clip.several > 0:
        yield Finding(
            "clip",
            "several",
            "advise",
            "The clip shows more than one face; the largest at its beginning is followed.",
            clip.several,
            0.0,
        )
    if clip.seconds > clip.used_seconds:
        yield Finding(
            "clip",
            "too_long",
            "advise",
            f"The clip is {clip.seconds:.1f} s long and will be cut to its first "
            f"{clip.used_seconds:g} s.",
            clip.seconds,
            clip.used_seconds,
        )
    shortest = float(SHORTEST_PART_S)
    if clip.seconds < shortest:
        yield Finding(
            "clip",
            "too_short",
            "advise",
            f"The clip is {clip.seconds:.1f} s long and its motion will repeat often; "
            f"{shortest:g} s at least, 6 to 10 s at best.",
            clip.seconds,
            shortest,
        )
    if clip.face is not None:
        yield from _size("clip", clip.face.iod, SMALL_CLIP_IOD)
        yield from _light("clip", clip.face)


def _size(subject: Literal["portrait", "clip"], iod: float, small: float) -> Iterator[Finding]:
    if iod >= small:
        return
    refused = iod < LEAST_IOD
    wanted = LEAST_IOD if refused else small
    yield Finding(
        subject,
        "too_small",
        "refuse" if refused else "advise",
        f"The face in the {subject} is small: {iod:.0f} px between the outer eye corners, "
        f"{small:.0f} or more are {'needed' if refused else 'wanted'}. Use a larger picture or "
        "crop it closer.",
        iod,
        wanted,
    )


def _light(subject: Literal["portrait", "clip"], face: FaceFigures) -> Iterator[Finding]:
    if face.brightness < DARK:
        yield Finding(
            subject,
            "dark",
            "advise",
            f"The face in the {subject} is dark. Use one taken in more light, from the front.",
            face.brightness,
            DARK,
        )


def _portrait_advice(face: FaceFigures) -> Iterator[Finding]:
    yield from _light("portrait", face)
    turn = max(abs(face.yaw), abs(face.pitch))
    table = (
        (
            "turned",
            turn,
            TURNED,
            f"The head is turned by {turn:.0f}°. Use a picture from the front.",
        ),
        (
            "leaning",
            abs(face.roll),
            LEANING,
            f"The head leans by {abs(face.roll):.0f}°. Turn the picture, or use an upright one.",
        ),
        (
            "mouth_open",
            face.mouth,
            WIDE_OPEN,
            "The mouth is wide open. Use a picture with closed lips or a slight smile.",
        ),
        (
            "blurred",
            face.blur,
            BLURRED,
            "The face is blurred, or was enlarged. Use a sharper picture.",
        ),
        (
            "cut_off",
            face.outside,
            CUT_OFF,
            "The face is cut off by the picture's border. Leave some room around it.",
        ),
    )
    for code, value, bound, sentence in table:
        if value > bound:
            yield Finding("portrait", code, "advise", sentence, value, bound)
    if face.eyes < EYES_CLOSED:
        yield Finding(
            "portrait",
            "eyes_closed",
            "advise",
            "The eyes are closed. Use a picture in which they are open.",
            face.eyes,
            EYES_CLOSED,
        )
