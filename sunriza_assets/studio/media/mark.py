"""The mark of a media file from outside, read in a child process."""

from pathlib import Path

from sunriza_assets.studio.marks.reading import FoundMark
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits

__all__ = ["read_mark"]


def read_mark(path: Path, *, roots: bytes = b"", limits: Limits = DEFAULT_LIMITS) -> FoundMark:
    """Read and verify the C2PA manifest of a file in a child process.

    Args:
        path: a file of any kind.
        roots: root certificates whose marks are `own`, PEM.
        limits: memory, and wall time as for a picture.

    Raises:
        MediaError: `timeout`, `memory` or `crashed`.
    """
    reply = sandbox.run_task(
        "read_mark",
        path,
        limits=limits,
        seconds=limits.picture_seconds,
        arguments={"roots": roots.decode("ascii", "replace")},
    )
    return FoundMark.from_dict(reply.value)
