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

MIN_IOD: Final = 20.0
"""Below, a mouth is six pixels wide and landmarks jump by more than it moves."""
ADVISED_IOD: Final = 50.0
"""Good portraits have 69 px and more; the idle looks soft on a phone below this."""
ADVISED_CLIP_IOD: Final = 40.0
"""In a clip only motion is read; good ones have 135 px and more."""
MAX_TURN_DEG: Final = 25.0
"""Degrees of yaw or pitch; good portraits reach 17 and 6, talking people 11."""
MAX_ROLL_DEG: Final = 20.0
"""Degrees of roll; good portraits reach 3.3."""
MAX_MOUTH_GAP: Final = 0.25
"""Gap of the lips, IOD; smiling portraits reach 0.11, a scream has 0.38, talking peaks 0.21."""
MIN_EYE_OPENING: Final = 0.14
"""Opening over width; narrow open eyes have 0.22, closed ones 0.04 to 0.1."""
MIN_BRIGHTNESS: Final = 80.0
"""Luma of the highlights; good material has 143 and more, at a third of its light 70."""
MAX_BLUR: Final = 0.80
"""Good material reaches 0.76; a blur of 0.03 IOD gives 0.84 and more."""
MAX_OUTSIDE_SHARE: Final = 0.05
"""Share of the face's box beyond the picture."""
MIN_PRESENT_SHARE: Final = 0.9
"""Share of sampled frames that should show the face."""


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """Figures of the part of a clip that is used."""

    seconds: float
    """Length of the whole clip."""
    used_seconds: float
    """Length of the part that is used, at most."""
    present: float
    """Share of sampled frames that show a face, 0..1."""
    lost: str | None
    """Why the face cannot be followed, in the words of the render's error; None when it can be."""
    several: float
    """Share of sampled frames that show more than one face of comparable size, 0..1."""
    face: FaceFigures | None
    """Median figures of the face; None without a face."""


def portrait_findings(face: FaceFigures) -> list[Finding]:
    """Findings on the one face of a portrait."""
    return [*_size_findings("portrait", face.iod, ADVISED_IOD), *_portrait_advice(face)]


def clip_findings(clip: ClipFigures) -> list[Finding]:
    """Findings on a clip."""
    return list(_clip_findings(clip))


def _clip_findings(clip: ClipFigures) -> Iterator[Finding]:
    if clip.lost is not None:
        code = "no_face" if clip.present == 0 else "face_lost"
        yield Finding("clip", code, "refuse", clip.lost, clip.present, MIN_PRESENT_SHARE)
    elif clip.present < MIN_PRESENT_SHARE:
        yield Finding(
            "clip",
            "face_hidden",
            "advise",
            f"The face is seen in {clip.present:.0%} of the clip; the rest is filled or left out.",
            clip.present,
            MIN_PRESENT_SHARE,
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
        yield from _size_findings("clip", clip.face.iod, ADVISED_CLIP_IOD)
        yield from _brightness_findings("clip", clip.face)


def _size_findings(
    subject: Literal["portrait", "clip"], iod: float, advised_iod: float
) -> Iterator[Finding]:
    if iod >= advised_iod:
        return
    is_refused = iod < MIN_IOD
    wanted = MIN_IOD if is_refused else advised_iod
    yield Finding(
        subject,
        "too_small",
        "refuse" if is_refused else "advise",
        f"The face in the {subject} is small: {iod:.0f} px between the outer eye corners, "
        f"{advised_iod:.0f} or more are {'needed' if is_refused else 'wanted'}. Use a larger "
        "picture or crop it closer.",
        iod,
        wanted,
    )


def _brightness_findings(
    subject: Literal["portrait", "clip"], face: FaceFigures
) -> Iterator[Finding]:
    if face.brightness < MIN_BRIGHTNESS:
        yield Finding(
            subject,
            "dark",
            "advise",
            f"The face in the {subject} is dark. Use one taken in more light, from the front.",
            face.brightness,
            MIN_BRIGHTNESS,
        )


def _portrait_advice(face: FaceFigures) -> Iterator[Finding]:
    yield from _brightness_findings("portrait", face)
    turn = max(abs(face.yaw), abs(face.pitch))
    table = (
        (
            "turned",
            turn,
            MAX_TURN_DEG,
            f"The head is turned by {turn:.0f}°. Use a picture from the front.",
        ),
        (
            "leaning",
            abs(face.roll),
            MAX_ROLL_DEG,
            f"The head leans by {abs(face.roll):.0f}°. Turn the picture, or use an upright one.",
        ),
        (
            "mouth_open",
            face.mouth,
            MAX_MOUTH_GAP,
            "The mouth is wide open. Use a picture with closed lips or a slight smile.",
        ),
        (
            "blurred",
            face.blur,
            MAX_BLUR,
            "The face is blurred, or was enlarged. Use a sharper picture.",
        ),
        (
            "cut_off",
            face.outside,
            MAX_OUTSIDE_SHARE,
            "The face is cut off by the picture's border. Leave some room around it.",
        ),
    )
    for code, value, bound, sentence in table:
        if value > bound:
            yield Finding("portrait", code, "advise", sentence, value, bound)
    if face.eyes < MIN_EYE_OPENING:
        yield Finding(
            "portrait",
            "eyes_closed",
            "advise",
            "The eyes are closed. Use a picture in which they are open.",
            face.eyes,
            MIN_EYE_OPENING,
        )
