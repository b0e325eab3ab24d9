"""The request of `trimVideo`."""

from typing import Any, Final

__all__ = ["TRIM_REQUEST"]

TRIM_REQUEST: Final[dict[str, Any]] = {
    "title": "TrimRequest",
    "description": "Cut a clip.",
    "type": "object",
    "required": ["video_url", "start_time", "end_time"],
    "properties": {
        "video_url": {
            "description": "Download URL of a clip of one of the caller's avatars.",
            "type": "string",
            "minLength": 1,
            "maxLength": 8192,
        },
        "start_time": {"description": "Seconds.", "type": "number", "minimum": 0},
        "end_time": {
            "description": "Seconds, after `start_time`, at most 11 s later.",
            "type": "number",
            "exclusiveMinimum": 0,
        },
    },
    "examples": [
        {
            "video_url": "https://firebasestorage.googleapis.com/v0/b/bucket/o/"
            "avatars%2Fanna%2Fvideos%2Fclip.mp4?alt=media&token=0b5c",
            "start_time": 1.5,
            "end_time": 9.0,
        }
    ],
}
"""JSON schema; the route checks it itself, for its own words."""
