"""Objects: what a bucket promises, and which one is in use.

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
"""As `if_generation`: write only when no such object exists."""

_MAX_NAME_BYTES: Final = 1024  # Cloud Storage's limit
_MAX_PART_BYTES: Final = 200  # file systems take 255; the part file's name needs room
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff|\\]")


def checked_object_name(name: str) -> str:
    """The name itself, when it can be one in a bucket and below a folder alike.

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
    """Content type by extension; the machine's own tables are not asked."""
    return _TYPES.guess_type(name)[0] or "application/octet-stream"


_TYPES: Final = mimetypes.MimeTypes()
_TYPES.add_type("image/webp", ".webp")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as it lies in the store."""

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
    """What a document carries and an app opens."""


class MediaStorage(Protocol):
    """All that this system asks of a bucket."""

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
            private: for this system alone, so without a token by which an app could read it.
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
        """Put a copy of an object under another name, atomically; whatever was there is replaced.

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

    def resolve(self, url: str, folder: Path, *, avatar_id: str, max_bytes: int) -> Path:
        """A local file with what the document of an avatar names as an input.

        That is an object of this bucket which the document may name (`input_addresses` says which),
        or, where the store's allow-list admits the host, a public https address, fetched without
        any rights of this system's.

        Args:
            avatar_id: whose document names it.

        Raises:
            StoreError: the address is refused, gone, or larger than `max_bytes`. Objects that the
                document may not name are refused alike, whether they exist or not.
        """
        ...


def no_such_object(name: str) -> StoreError:
    """What every store says of an object that it does not have."""
    return StoreError("There is no such object", where=name, code="missing")


def too_large(stored: StoredObject, max_bytes: int) -> StoreError:
    """What every store says of an object that is larger than the reader takes."""
    return StoreError(
        f"The file has {stored.size / 1e6:.1f} MB",
        where=stored.name,
        remedy=f"At most {max_bytes / 1e6:.0f} MB are taken.",
        code="too_large",
    )
