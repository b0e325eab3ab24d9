"""The request of `trimVideo`."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TrimRequest"]


class TrimRequest(BaseModel):
    """Cut a clip. All three are required; numbers are checked by the route, for its words."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "video_url": "https://firebasestorage.googleapis.com/v0/b/bucket/o/"
                    "avatars%2Fanna%2Fvideos%2Fclip.mp4?alt=media&token=…",
                    "start_time": 1.5,
                    "end_time": 9.0,
                }
            ]
        }
    )

    video_url: Any = Field(default=None, description="Download URL of a clip of the caller's own.")
    start_time: Any = Field(default=None, description="Seconds, from 0 on.")
    end_time: Any = Field(
        default=None, description="Seconds, after `start_time`, at most 11 s later."
    )
