"""Finished emotion pictures: how they are encoded, and the cache of those drawn before.

The cache is a folder of files named by what they show. An output is a further name (a hard link)
for such a file, so a picture that was drawn before costs neither drawing nor room, and whoever
deletes an output deletes a name of his own.
"""

import hashlib
import io
import json
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image as Pictures
from PIL.PngImagePlugin import PngInfo

from resources.marking import current_marker, marks_wanted, source_of
from sunriza_assets import __version__
from sunriza_assets.atomic import make_folder, replacing, store_errors
from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.marks.mark import MEDIA_TYPES, Mark

__all__ = ["COMMENT", "Output", "PictureCache", "encode", "marked", "picture_mark"]

COMMENT: Final = "Synthetic picture, made with Sunriza Assets"
"""What every file says of itself."""
_XMP: Final = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description>'
    f'<rdf:Alt><rdf:li xml:lang="x-default">{COMMENT}</rdf:li></rdf:Alt>'
    "</dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
)
"""The comment for WebP, which has no field for one."""
_ENCODING: Final = 1
"""Grows with every change of what `encode` writes, so that no cached file outlives it."""
_MAX_CACHE_BYTES: Final = 1_000_000_000


def encode(image: Image, output_format: str) -> bytes:
    """(H, W, 3) RGB as a png, jpg or webp file that says it is synthetic.

    Levels were chosen for processor time: PNG's usual level 6 takes three times as long for a file
    that is a fifteenth smaller, WebP's usual method 4 twice as long for one that is as large.
    """
    file = io.BytesIO()
    picture = Pictures.fromarray(image)
    if output_format == "png":
        text = PngInfo()
        text.add_text("Comment", COMMENT)
        picture.save(file, "PNG", compress_level=2, pnginfo=text)
    elif output_format == "jpg":
        picture.save(file, "JPEG", quality=92, subsampling=0, comment=COMMENT)
    else:
        picture.save(file, "WEBP", quality=92, method=2, xmp=_XMP.encode())
    return file.getvalue()


def picture_mark(engine: str, version: str, digest: str) -> Mark | None:
    """What a picture says of itself in its C2PA manifest; None if pictures are not marked here.

    Args:
        engine: what draws it.
        version: its version.
        digest: SHA-256 of the portrait's file.
    """
    if not marks_wanted():
        return None
    return Mark(source_of(engine), __version__, f"{engine} {version}", (("portrait", digest),))


def marked(data: bytes, output_format: str, mark: Mark | None) -> bytes:
    """A picture with its mark.

    Raises:
        StoreError: there is no key, or the picture cannot be marked.
    """
    marker = None if mark is None else current_marker()
    if marker is None or mark is None:
        return data
    suffix = f".{output_format}"
    return marker.marked(data, MEDIA_TYPES[suffix], mark, title=f"picture{suffix}")


@dataclass(frozen=True, slots=True)
class Output:
    """A finished picture among the outputs."""

    path: Path
    """The file."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""


class PictureCache:
    """Files of a folder by what they show, the least lately used go first. Thread-safe.

    Args:
        folder: made where missing; what is in it already is found again.
        outputs: where outputs go, on the same disk.
        most_bytes: how much the folder may hold.
    """

    def __init__(self, folder: Path, outputs: Path, *, most_bytes: int = _MAX_CACHE_BYTES) -> None:
        self._folder = folder
        self._outputs = outputs
        self._most_bytes = most_bytes
        self._guard = threading.Lock()
        make_folder(folder)
        make_folder(outputs)
        self._sizes = self._found()
        self._total = sum(self._sizes.values())

    def name_of(self, facts: Mapping[str, Any], suffix: str) -> str:
        """The file name of the picture that these JSON values determine."""
        text = json.dumps([_ENCODING, facts], sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()}.{suffix}"

    def publish(self, name: str) -> Output | None:
        """A new output that shows a cached picture; None if there is none.

        Raises:
            StoreError: it cannot be written (a full disk, too).
        """
        with self._guard:
            if name not in self._sizes:
                return None
            self._sizes.move_to_end(name)
        try:
            return self._link(name)
        except FileNotFoundError:  # somebody has cleared the folder
            with self._guard:
                self._total -= self._sizes.pop(name, 0)
            return None

    def add(self, name: str, data: bytes) -> Output:
        """Store a picture and return an output that shows it.

        Raises:
            StoreError: it cannot be written (a full disk, too).
        """
        with replacing(self._folder / name) as file:
            file.write(data)
        output = self._link(name)
        with self._guard:
            self._total += len(data) - self._sizes.pop(name, 0)
            self._sizes[name] = len(data)
            while self._total > self._most_bytes and len(self._sizes) > 1:
                oldest, size = self._sizes.popitem(last=False)
                (self._folder / oldest).unlink(missing_ok=True)
                self._total -= size
        return output

    def write_output(self, data: bytes, suffix: str) -> Path:
        """Write an output that is not cached.

        Raises:
            StoreError: it cannot be written (a full disk, too).
        """
        output = self._new_output(suffix)
        with replacing(output) as file:
            file.write(data)
        return output

    def _link(self, name: str) -> Output:
        """A new output for a cached file.

        Raises:
            FileNotFoundError: it is not there.
            StoreError: the output cannot be written.
        """
        with (self._folder / name).open("rb") as data, Pictures.open(data) as picture:
            size = picture.size  # from its header
            output = self._new_output(name.rpartition(".")[2])
            try:
                output.hardlink_to(self._folder / name)
            except FileNotFoundError:
                raise
            except OSError:  # a file system without links, or too many of one file
                data.seek(0)
                with replacing(output) as file:
                    shutil.copyfileobj(data, file)
        return Output(output, *size)

    def _new_output(self, suffix: str) -> Path:
        return self._outputs / f"{secrets.token_hex(16)}.{suffix}"

    def _found(self) -> "OrderedDict[str, int]":
        """Name -> size of the files that are there, the oldest first."""
        found = []
        with store_errors("read", self._folder):
            for path in self._folder.iterdir():
                if path.name.startswith("."):  # left by a process that was killed
                    path.unlink(missing_ok=True)
                else:
                    facts = path.stat()
                    found.append((facts.st_mtime, path.name, facts.st_size))
        return OrderedDict((name, size) for _, name, size in sorted(found))
