"""What an operator may set in the launchpad: the last of the three layers of parameters.

Every field has a default that means "as the avatar's document says", so that a backfill of many
avatars needs no config. Ranges are checked where all layers meet, in `studio.parameters`.
"""

from typing import Any

import dagster as dg
from pydantic import Field

__all__ = ["IdleConfig", "TemplateConfig", "TrimConfig", "launchpad_config"]


class _Layer(dg.Config):
    """Parameters that were said; what was not said stays None."""

    def said(self) -> dict[str, Any]:
        """Only the parameters that the launchpad names."""
        return {
            name: value
            for name, value in self.model_dump().items()
            if value is not None and name != "force"
        }


class TrimConfig(_Layer):
    """How much of the clip is used."""

    max_seconds: float | None = Field(None, description="Seconds from the clip's start, 1-10.")


class TemplateConfig(_Layer):
    """Which engine reads the motion, and whether the cache counts."""

    engine: str | None = Field(
        None,
        description="auto, mesh or liveportrait; auto takes the best there is.",
    )
    force: bool = Field(
        False, description="Make everything anew in this run, whatever is unchanged."
    )


class IdleConfig(_Layer):
    """Everything that shapes the idle; changing it never extracts the motion again."""

    engine: str | None = Field(
        None,
        description="auto, mesh or liveportrait; auto takes the template's.",
    )
    driving_multiplier: float | None = Field(None, description="Gain of all motion, 0-3 (1.7).")
    scale_multiplier: float | None = Field(
        None, description="Share of the clip's zoom carried over, 0-2 (0.41)."
    )
    stitching_retargeting_eyes_width: int | None = Field(
        None, description="Longest side of the source picture in pixels, 256-4096 (1600)."
    )
    animation_region: str | None = Field(None, description="What moves: all, exp, pose, lip, eyes.")
    flag_relative: bool | None = Field(None, description="Motion relative to the neutral frame.")
    flag_stitching: bool | None = Field(None, description="Keep shoulders and border in place.")
    flag_pasteback: bool | None = Field(None, description="Whole picture instead of face crop.")
    flag_do_crop: bool | None = Field(None, description="Find and crop the face.")
    flag_lip_zero: bool | None = Field(None, description="Start from closed lips.")
    flag_eye_retargeting: bool | None = Field(None, description="Drive eyes by opening ratio.")
    flag_normalize_lip: bool | None = Field(None, description="Close open lips before animating.")
    fps: Any = Field(None, description='"source" (the clip\'s rate, at most 30) or 1-60.')
    loop: bool | None = Field(None, description="Close the motion into a seamless loop.")
    loop_seconds: float | None = Field(None, description="Wanted loop length, 3-10 s; else best.")
    lips: str | None = Field(
        None, description="clip, or still: lips rest, for visemes laid over them."
    )
    emotion: str | None = Field(
        None,
        description="neutral, happy, sad, angry, surprised, fearful or disgusted, all along.",
    )
    emotion_strength: float | None = Field(None, description="How much of it is worn, 0-1 (1).")
    denoise: float | None = Field(
        None, description="How much of the portrait's grain is smoothed at least, 0-20 (0)."
    )


def launchpad_config(
    parameters: dict[str, Any], *, force: bool, selected: set[str]
) -> dict[str, Any]:
    """Run config that says these canonical parameters to every selected asset that has them."""
    ops: dict[str, Any] = {}
    for asset, config in (
        ("trimmed_video", TrimConfig),
        ("motion_template", TemplateConfig),
        ("idle_video", IdleConfig),
    ):
        if asset not in selected:
            continue
        said = {name: value for name, value in parameters.items() if name in config.model_fields}
        if force and "force" in config.model_fields:
            said["force"] = True
        ops[asset] = {"config": said}
    return {"ops": ops}
