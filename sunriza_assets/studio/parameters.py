"""What an avatar can be told: the render parameters, their ranges, and how layers resolve.

Names are snake_case here and camelCase in documents; both are read. Layers are resolved by
`resolve`: code default < the avatar's document < the launchpad (or the command line), last wins.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from functools import cache
from typing import Any, Final, Literal

from sunriza_assets.errors import ParameterError, did_you_mean
from sunriza_assets.studio.expression.emotions import EMOTIONS

__all__ = [
    "CHOICES",
    "DEFAULTS",
    "MEANINGS",
    "RANGES",
    "STILL_PARAMETERS",
    "RenderParameters",
    "allowed_values",
    "camel_name",
    "canonical",
    "canonical_name",
    "checked",
    "overridden",
    "resolve",
]

Region = Literal["all", "exp", "pose", "lip", "eyes"]
Feeling = Literal["neutral", "happy", "sad", "angry", "surprised", "fearful", "disgusted"]

# parameter: (lowest, highest) allowed value, both inclusive
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "driving_multiplier": (0.0, 3.0),
    "scale_multiplier": (0.0, 2.0),
    "stitching_retargeting_eyes_width": (256, 4096),
    "emotion_strength": (0.0, 1.0),
    "denoise": (0.0, 20.0),
    "fps": (1, 60),
    "loop_seconds": (3.0, 10.0),
    "max_seconds": (1.0, 10.0),
}
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "animation_region": ("all", "exp", "pose", "lip", "eyes"),
    "lips": ("clip", "still"),
    "emotion": tuple(EMOTIONS),
    "engine": ("auto", "mesh", "liveportrait"),
}
_WHOLE: Final = frozenset({"stitching_retargeting_eyes_width"})
"""Of these, the ones that are whole numbers."""
MEANINGS: Final[Mapping[str, str]] = {
    "max_seconds": "Seconds of the clip that are used, from its start.",
    "engine": "What animates; auto takes the best there is, for an idle the template's.",
    "driving_multiplier": "Gain of all motion; 1 is the clip's own.",
    "scale_multiplier": "Share of the clip's zoom that is carried over.",
    "stitching_retargeting_eyes_width": "Longest side of the picture, pixels.",
    "animation_region": "What moves.",
    "flag_relative": "Motion relative to the neutral frame; false takes expressions as they are.",
    "flag_stitching": "Keep shoulders and border in place.",
    "flag_pasteback": "The whole picture; false gives the square around the face.",
    "flag_do_crop": "Find and crop the face; false takes the picture as a face crop.",
    "flag_lip_zero": "Start from closed lips.",
    "flag_eye_retargeting": "Drive the eyes by their opening, not by relative motion.",
    "flag_normalize_lip": "Close open lips before animating.",
    "fps": "Frames per second; source is the clip's own rate, at most 30.",
    "loop": "Close the motion into a seamless loop.",
    "loop_seconds": "Wanted length of the loop, seconds; best leaves it to the engine.",
    "lips": "clip: lips follow the clip; still: they rest, for visemes laid over them.",
    "emotion": "Worn all along, the clip's motion on top.",
    "emotion_strength": "How much of the emotion is worn.",
    "denoise": "How much of the portrait's grain is smoothed at least, grey levels.",
}
"""What each parameter does, in a sentence for users."""
# Names the app and LivePortrait's own command line use for the same thing.
ALIASES: Final[Mapping[str, str]] = {
    "source_max_dim": "stitching_retargeting_eyes_width",
    "source_maxdim": "stitching_retargeting_eyes_width",
    "normalize_lip": "flag_normalize_lip",
    "pasteback": "flag_pasteback",
    "relative": "flag_relative",
    "relative_motion": "flag_relative",
    "flag_relative_motion": "flag_relative",
    "stitching": "flag_stitching",
    "do_crop": "flag_do_crop",
    "lip_zero": "flag_lip_zero",
    "eye_retargeting": "flag_eye_retargeting",
}


@dataclass(frozen=True, slots=True)
class RenderParameters:
    """One resolved, validated set of parameters.

    Raises:
        ParameterError: a value is of the wrong kind or out of its range.
    """

    driving_multiplier: float = 1.7
    """Gain of all relative motion, 0-3; 1 is the clip's own motion."""
    scale_multiplier: float = 0.41
    """Share of the clip's zoom (growing and shrinking of the head) that is carried over, 0-2."""
    stitching_retargeting_eyes_width: int = 1600
    """Longest side of the source picture in pixels, 256-4096; also called `source_max_dim`."""
    animation_region: Region = "all"
    """What moves: all, exp (face without head), pose (head without face), lip, eyes."""
    flag_relative: bool = True
    """Motion relative to the clip's neutral frame; false takes the clip's expression as it is."""
    flag_stitching: bool = True
    """Keep shoulders and picture border in place while the head moves."""
    flag_pasteback: bool = True
    """Put the moving face back into the whole picture; false gives the square face crop."""
    flag_do_crop: bool = True
    """Find and crop the face; false takes the picture as a face crop already."""
    flag_lip_zero: bool = False
    """Start from closed lips: subtract the opening that the portrait's mouth shows."""
    flag_eye_retargeting: bool = False
    """Drive the eyes by their opening ratio instead of by relative motion."""
    flag_normalize_lip: bool = False
    """Close the portrait's lips before animating when they are open."""
    fps: Literal["source"] | float = "source"
    """Output frames per second: the clip's exact rate (at most 30), or a number 1-60."""
    loop: bool = True
    """Close the motion into a seamless loop; false follows the clip frame by frame."""
    loop_seconds: float | None = None
    """Wanted loop length in seconds, 3-10; None lets the engine choose the best."""
    lips: Literal["clip", "still"] = "clip"
    """clip: lips follow the clip; still: they rest."""
    emotion: Feeling = "neutral"
    """What the portrait feels all along, whatever the clip does on top; see `studio.emotions`."""
    emotion_strength: float = 1.0
    """How much of the emotion is worn, 0-1; the driving multiplier leaves it alone."""
    denoise: float = 0.0
    """How strongly the portrait's grain is smoothed before it moves, 0-20 grey levels; at least
    so, and more where the idle could not be encoded within its limits otherwise."""
    max_seconds: float = 10.0
    """Seconds of the clip used, from its start, 1-10."""
    engine: Literal["auto", "mesh", "liveportrait"] = "auto"
    """auto takes liveportrait when its weights and a CUDA device are there, else mesh."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, checked(field.name, value))

    @property
    def source_max_dim(self) -> int:
        """Longest side of the source picture in pixels."""
        return self.stitching_retargeting_eyes_width

    def output_rate(self, clip_rate: Fraction) -> Fraction:
        """Frame rate of the idle for a clip of `clip_rate` frames per second."""
        if self.fps == "source":
            return min(clip_rate, Fraction(30))
        for base in (24, 30, 60):  # people write 29.97 and mean 30000/1001
            if abs(self.fps - base * 1000 / 1001) < 0.005:
                return Fraction(base * 1000, 1001)
        return Fraction(self.fps).limit_denominator(1000)

    def to_dict(self) -> dict[str, Any]:
        """All parameters, snake_case."""
        return asdict(self)

    def to_document(self) -> dict[str, Any]:
        """All parameters that are set, camelCase, as documents carry them."""
        return {camel_name(k): v for k, v in asdict(self).items() if v is not None}

    def __or__(self, layer: Mapping[str, Any]) -> "RenderParameters":
        """This set with a layer of raw parameters laid over it."""
        return replace(self, **canonical(layer))


def resolve(*layers: Mapping[str, Any] | None) -> RenderParameters:
    """Lay raw parameter maps (camelCase or snake_case) over the defaults, the last wins.

    Raises:
        ParameterError: an unknown key, a wrong kind of value, or one out of range.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(canonical(layer or {}))
    return RenderParameters(**merged)


def overridden(wishes: Mapping[str, Any], effective: RenderParameters) -> dict[str, dict[str, Any]]:
    """What stands in a published document beside its effective parameters, to tell them apart.

    Returns:
        camelCase name -> {"by": effective value, "document": the document's own wish or None}, for
        every parameter that is not just what the document had asked for.
    """
    asked = {camel_name(name): value for name, value in canonical(wishes).items()}
    return {
        name: {"by": value, "document": asked.get(name)}
        for name, value in effective.to_document().items()
        if asked.get(name) != value
    }


def canonical(layer: Mapping[str, Any]) -> dict[str, Any]:
    """A raw parameter map with canonical snake_case names; values are left as they are.

    Raises:
        ParameterError: an unknown key, or one thing said twice under two names with two values.
    """
    result: dict[str, Any] = {}
    for key, value in layer.items():
        name = canonical_name(key)
        if name in result and result[name] != value:
            raise ParameterError(f"{name} is given twice, as {result[name]!r} and {value!r}")
        result[name] = value
    return result


def canonical_name(key: object) -> str:
    """The snake_case name of a parameter that is written in any of its ways.

    Raises:
        ParameterError: there is no such parameter.
    """
    known = _names()
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(key)).lower()
    name = snake if snake in known else ALIASES.get(snake, snake)
    if name not in known:
        raise ParameterError(
            f"Unknown parameter {key!r}",
            remedy=did_you_mean(snake, [*known, *ALIASES])
            + f"Known are: {', '.join(sorted(known))}.",
            code="unknown",
        )
    return name


@cache
def _names() -> frozenset[str]:
    """Names of all parameters."""
    return frozenset(field.name for field in fields(RenderParameters))


def camel_name(name: str) -> str:
    """A parameter's name as documents carry it: `driving_multiplier` -> `drivingMultiplier`."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def allowed_values(name: str) -> str:
    """What a parameter may be, in words: `0 to 3`, `true or false`, `one of clip, still`."""
    if name in CHOICES:
        return "one of " + ", ".join(CHOICES[name])
    if name not in RANGES:
        return "true or false"
    low, high = RANGES[name]
    word = {"fps": '"source" or ', "loop_seconds": '"best" or '}.get(name, "")
    return f"{word}{'a whole number, ' if name in _WHOLE else ''}{low:g} to {high:g}"


def checked(name: str, value: Any) -> Any:
    """The value in its canonical type; text such as "1.5" or "true" (command line) is read.

    Args:
        name: canonical.
        value: as it was written.

    Raises:
        ParameterError: it is of the wrong kind or out of range; says what is allowed.
    """
    text = value.strip().lower() if isinstance(value, str) else None
    if name in CHOICES:
        if text not in CHOICES[name]:
            raise _refused(name, value, did_you_mean(value, CHOICES[name]))
        return text
    if name not in RANGES:
        switch = {"true": True, "false": False}.get(text, value) if text is not None else value
        if not isinstance(switch, bool):
            raise _refused(name, value)
        return switch
    if name == "fps" and text == "source":
        return "source"
    if name == "loop_seconds" and (value is None or text in ("best", "none", "null", "")):
        return None
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    low, high = RANGES[name]
    if not low <= number <= high:  # NaN compares false
        raise _refused(name, value)
    if name not in _WHOLE:
        return number
    if not number.is_integer():
        raise _refused(name, value)
    return int(number)


def _refused(name: str, value: object, near: str = "") -> ParameterError:
    shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:77] + "..."
    return ParameterError(
        f"{name} is {shown}",
        remedy=f"{near}Allowed: {allowed_values(name)}.",
        code="out_of_range",
    )


STILL_PARAMETERS: Final = frozenset(
    {
        "stitching_retargeting_eyes_width",
        "flag_stitching",
        "flag_pasteback",
        "flag_do_crop",
        "flag_lip_zero",
        "flag_normalize_lip",
        "emotion",
        "emotion_strength",
        "denoise",
    }
)
"""What the picture at rest depends on, and so the viseme cells; all else is about motion."""

DEFAULTS: Final = RenderParameters()
