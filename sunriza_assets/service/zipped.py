"""A ZIP archive as a stream: as much memory as one piece, whatever the files' size."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["zip_stream"]

_PIECE: Final = 256 * 1024
_DATE: Final = (2020, 1, 1, 0, 0, 0)
"""Equal files make equal archives."""


class _Sink:
    """Collects what the archive writes until it is taken; it cannot seek, like a connection."""

    def __init__(self) -> None:
        self._pieces = bytearray()
        self._written = 0

    def write(self, data: bytes) -> int:
        self._pieces += data
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken = bytes(self._pieces)
        self._pieces.clear()
        return taken


def zip_stream(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """An archive of files, stored and not compressed: they are pictures and videos.

    Args:
        files: name in the archive, and the file, which is there until the next one is asked for.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name, path in files:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = 0o644 << 16
            entry.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(entry, "w") as target:
                while piece := source.read(_PIECE):
                    target.write(piece)
                    yield sink.take()
    yield sink.take()
