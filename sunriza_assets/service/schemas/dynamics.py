"""The request and the answer of `generate-dynamics`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sunriza_assets.service.schemas.parameters import parameter_schemas

__all__ = ["DynamicsAnswer", "dynamics_request"]


def dynamics_request() -> dict[str, Any]:
    """The JSON schema of the request; `asking.read_wish` reads other spellings, too."""
    parameters = parameter_schemas() | {"scale": {"description": "Of the former system; ignored."}}
    return {
        "title": "DynamicsRequest",
        "description": "Make an avatar move. Names may be camelCase, `source_max_dim` stands for"
        " `stitching_retargeting_eyes_width`, and parameters may stand beside `avatar_id` instead"
        " of in `parameters`.",
        "type": "object",
        "required": ["avatar_id"],
        "additionalProperties": False,
        "properties": {
            "avatar_id": {
                "description": "Which avatar.",
                "type": "string",
                "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$",
            },
            "dynamics_id": _or_null({"type": "string", "enum": ["basic"]}, "`basic` by default."),
            "parameters": _or_null(
                {"type": "object", "additionalProperties": False, "properties": parameters},
                "Laid over those of the document.",
            ),
            "webhook_url": _or_null(
                {
                    "type": "string",
                    "pattern": r"^https://([A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]*(/[!-~]*)?$",
                    "maxLength": 2048,
                },
                "Public address that is told of the job's end.",
            ),
            "webhook_events": _or_null(
                {
                    "type": "array",
                    "items": {"type": "string", "enum": ["job.done", "job.error", "job.running"]},
                },
                "What it is told of: `job.done` and `job.error` by default.",
            ),
            "publish": _or_null(
                {"type": "boolean"}, "false makes a draft: the avatar stays as it is published."
            ),
            "force": _or_null(
                {"type": "boolean"}, "true makes it anew although nothing has changed."
            ),
            "hero_image_url": {"description": "Ignored: the document's counts."},
            "hero_video_url": {"description": "Ignored: the document's counts."},
            **parameters,
        },
        "examples": [
            {
                "avatar_id": "anna",
                "dynamics_id": "basic",
                "parameters": {"driving_multiplier": 0.41, "animation_region": "all"},
            }
        ],
    }


def _or_null(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}], "description": description}


class DynamicsAnswer(BaseModel):
    """The job that works for it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "generating",
                    "avatar_id": "anna",
                    "dynamics_id": "basic",
                    "estimated_seconds": 38,
                    "message": "The avatar is being made.",
                    "job_id": "job_01kb9y3c2v8h6q4m7n5r0t1w2x",
                    "job_url": "/jobs/job_01kb9y3c2v8h6q4m7n5r0t1w2x",
                    "deduplicated": False,
                }
            ]
        }
    )

    status: Literal["generating"]
    avatar_id: str
    dynamics_id: str
    estimated_seconds: int = Field(
        ge=0, description="Seconds of work, as forecast; 120 if nothing is known."
    )
    message: str
    job_id: str
    job_url: str = Field(description="Path of the job.")
    deduplicated: bool = Field(
        description="Whether an unfinished job for the same inputs was there already."
    )
