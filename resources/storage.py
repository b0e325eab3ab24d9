"""Objects: what a bucket promises, and which one is in use.

Object names are bucket paths such as `avatars/<id>/dynamics/basic/idle.mp4`. Writers upload with a
precondition and verify the checksum; readers never see half an object.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

__all__ = ["ABSENT", "MediaStorage", "StoredObject"]

ABSENT: Final = "absent"
"""As `if_generation`: write only when no such object exists."""


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
    ) -> StoredObject:
        """Upload a file, atomically, and verify it.

        Args:
            content_type: guessed from the name when None.
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

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects whose name starts with a prefix, in order of name."""
        ...

    def delete(self, name: str, *, if_generation: str | None = None) -> bool:
        """Remove an object; False when there was none.

        Raises:
            ConflictError: the object is of another generation.
        """
        ...

    def resolve(self, url: str, folder: Path, *, max_bytes: int) -> Path:
        """A local file with what a document's URL points to: an object of this bucket, or (where
        the store's allow-list admits the host) a public https address.

        Raises:
            StoreError: the address is refused, gone, or larger than `max_bytes`.
        """
        ...
