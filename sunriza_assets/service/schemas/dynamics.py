"""The request and the answer of `generate-dynamics`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DynamicsAnswer", "DynamicsRequest"]


class DynamicsRequest(BaseModel):
    """Make an avatar move.

    Names are snake_case or camelCase. Render parameters may stand beside `avatar_id` instead of in
    `parameters`, and `hero_image_url`, `hero_video_url` are ignored: the document's count.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "avatar_id": "anna",
                    "dynamics_id": "basic",
                    "parameters": {
                        "driving_multiplier": 0.41,
                        "scale": 2.0,
                        "source_max_dim": 1600,
                        "animation_region": "all",
                    },
                }
            ]
        },
    )

    avatar_id: str | None = Field(default=None, description="Required.")
    dynamics_id: str | None = Field(default=None, description="`basic`, also by default.")
    parameters: dict[str, Any] | None = Field(
        default=None, description="Render parameters, laid over those of the document."
    )
    webhook_url: str | None = Field(
        default=None, description="https address that is told of the job's end."
    )
    webhook_events: list[str] | None = Field(
        default=None,
        description="What it is told of: `job.done`, `job.error` (these two by default),"
        " `job.running`.",
    )
    publish: bool | None = Field(
        default=None, description="false makes a draft: the avatar stays as it is published."
    )
    force: bool | None = Field(
        default=None, description="true makes it anew although nothing has changed."
    )


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
