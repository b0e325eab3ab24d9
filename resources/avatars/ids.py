"""What an avatar id may be: the name of its files, its partition, and a part of its addresses."""

import re
from typing import Final

from sunriza_assets.errors import AvatarError

__all__ = ["checked_avatar_id", "is_avatar_id"]

# Firestore and Storage allow more; file names, partition keys and URLs do not.
_AVATAR_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def checked_avatar_id(avatar_id: str) -> str:
    """The id itself, if it is valid.

    Raises:
        AvatarError: it is empty, too long, or has characters other than A-Z a-z 0-9 _ -.
    """
    if not isinstance(avatar_id, str) or not _AVATAR_ID.fullmatch(avatar_id):
        shown = repr(avatar_id) if len(repr(avatar_id)) <= 60 else f"{repr(avatar_id)[:57]}..."
        raise AvatarError(
            f"{shown} is not an avatar id",
            remedy="Use 1 to 128 letters, digits, '_' or '-', the first a letter or digit.",
            code="id",
        )
    return avatar_id


def is_avatar_id(text: str) -> bool:
    """Whether `checked_avatar_id` accepts it."""
    return _AVATAR_ID.fullmatch(text) is not None
