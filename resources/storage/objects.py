"""The protocol of the media storage, and the rules for object names.

Object names are bucket paths such as `avatars/<id>/dynamics/basic/idle.mp4`. Writers upload with a
precondition and verify the checksum; readers never see half an object.
"""

import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from sunriza_assets.errors import StoreError

__all__ = [
    "ABSENT",
    "MediaStorage",
    "StoredObject",
    "checked_object_name",
    "content_type_of",
    "no_such_object",
    "too_large",
]

ABSENT: Final = "absent"
"""Value of `if_generation`: write only if no such object exists."""

_MAX_NAME_BYTES: Final = 1024  # Cloud Storage's limit
_MAX_PART_BYTES: Final = 200  # file systems take 255; the part file's name needs room
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff|\\]")


def checked_object_name(name: str) -> str:
    """The name itself, if it is valid both in a bucket and below a folder.

    Raises:
        StoreError: it is empty, absolute or too long; has an empty part or one that begins with a
            dot (`..`, too); or has a control character, a backslash or `|`.
    """
    parts = name.split("/") if isinstance(name, str) else []
    good = (
        parts
        and not _FORBIDDEN.search(name)
        and len(name.encode()) <= _MAX_NAME_BYTES
        and all(
            part and not part.startswith(".") and len(part.encode()) <= _MAX_PART_BYTES
            for part in parts
        )
    )
    if not good:
        shown = repr(name) if len(repr(name)) <= 80 else f"{repr(name)[:77]}..."
        raise StoreError(f"{shown} is not an object name", code="name")
    return name


def content_type_of(name: str) -> str:
    """Content type by extension; independent of the machine's own tables."""
    return _TYPES.guess_type(name)[0] or "application/octet-stream"


_TYPES: Final = mimetypes.MimeTypes()
_TYPES.add_type("image/webp", ".webp")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object in the store."""

    name: str
    """Bucket path, without a leading slash."""
    size: int
    """Bytes."""
    generation: str
    """Changes with every write of the object; opaque."""
    md5: str
    """Hex digest of the content."""
    content_type: str
    """As it is served."""
    url: str
    """URL for documents and apps."""


class MediaStorage(Protocol):
    """Operations on a bucket."""

    def put(
        self,
        source: Path,
        name: str,
        *,
        content_type: str | None = None,
        cache_control: str | None = None,
        if_generation: str | None = None,
        private: bool = False,
    ) -> StoredObject:
        """Upload a file, atomically, and verify it.

        Args:
            content_type: guessed from the name when None.
            private: for this system only, so without a download token.
            if_generation: the generation that must still be there, or `ABSENT`; None overwrites.

        Raises:
            ConflictError: the precondition does not hold; nothing was written.
            StoreError: the name is not one, or the store cannot be written (a full disk, too).
        """
        ...

    def stat(self, name: str) -> StoredObject | None:
        """The object, or None when there is none."""
        ...

    def fetch(self, name: str, folder: Path) -> Path:
        """A local file with the object's content, checksum verified; treat it as read-only.

        A local store may return its own file; others download into `folder`.

        Raises:
            StoreError: there is no such object, or it cannot be read.
        """
        ...

    def copy(self, name: str, target: str, *, cache_control: str | None = None) -> StoredObject:
        """Copy an object to another name, atomically, replacing what is there.

        Raises:
            StoreError: there is no such object, or the copy cannot be written.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects whose name starts with a prefix, in order of name."""
        ...

    def delete(self, name: str, *, if_generation: str | None = None) -> bool:
        """Remove an object; False when there was none.

        Raises:
            ConflictError: the object is of another generation.
        """
        ...

    def name_of(self, url: str) -> str | None:
        """The name of the object of this store that an address names; None for all other addresses.

        The name is not checked, and the object need not exist.
        """
        ...

    def resolve(self, url: str, folder: Path, *, avatar_id: str, max_bytes: int) -> Path:
        """A local file of an input that an avatar's document names.

        This is an object of this bucket that the document may name (see `input_addresses`), or, if
        the store's allow-list contains the host, a public https address, fetched without
        credentials.

        Args:
            avatar_id: the avatar of the document.

        Raises:
            StoreError: the address is refused, gone, or larger than `max_bytes`. Objects that the
                document may not name are refused alike, whether they exist or not.
        """
        ...


def no_such_object(name: str) -> StoreError:
    """The error of every store for a missing object."""
    return StoreError("There is no such object", where=name, code="missing")


def too_large(stored: StoredObject, max_bytes: int) -> StoreError:
    """The error of every store for an object that is larger than allowed."""
    return StoreError(
        f"The file has {stored.size / 1e6:.1f} MB",
        where=stored.name,
        remedy=f"At most {max_bytes / 1e6:.0f} MB are taken.",
        code="too_large",
    )
