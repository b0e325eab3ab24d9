"""The motion template: the motion of a clip, without its person, as named arrays in one .npz.

The file is a plain zip of .npy members plus `header.json`; nothing in it is ever unpickled. Each
engine's package documents the arrays that it writes; this module only defines the container:
schema version, engine, exact rate, source hash, shapes.
"""

import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import MediaError

__all__ = ["SCHEMA_VERSION", "MotionTemplate"]

SCHEMA_VERSION: Final = 1
MAX_BYTES: Final = 512 * 1024 * 1024
"""Far above a template of a 10 s clip; protects against zip bombs."""
_EXTRACT_AGAIN: Final = "Render with --force to extract it again."
_ALLOWED_KINDS: Final = frozenset("fiub")
_UNREADABLE: Final = (
    OSError,
    EOFError,
    LookupError,  # a member or a header field that is not there
    ValueError,  # no JSON, no .npy
    TypeError,
    ArithmeticError,  # a rate over zero
    RuntimeError,  # encrypted, nested without end, packed by a method unknown here
    zipfile.BadZipFile,
    zlib.error,
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class MotionTemplate:
    """The motion of one clip, as one engine sees it."""

    engine: str
    """Name of the engine that wrote it, the only one that can render it."""
    engine_version: str
    """Version of that engine's extractor."""
    rate: Fraction
    """Frames per second, exact."""
    frame_count: int
    """Frames of the clip, >= 1; every per-frame array has this first dimension."""
    source_sha256: str
    """Hash of the clip's bytes, 64 hex digits."""
    neutral_frame: int
    """Index of the frame the neutral reference was built around, in [0, frame_count)."""
    arrays: Mapping[str, NDArray[Any]]
    """Named arrays of floats, integers or booleans; see the engine's package for each."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further metadata (faces found, gaps filled, warnings): JSON values only."""

    def __post_init__(self) -> None:
        if self.frame_count < 1:
            raise MediaError(f"A motion template needs frames, this has {self.frame_count}")
        if not 0 <= self.neutral_frame < self.frame_count:
            raise MediaError(
                f"Neutral frame {self.neutral_frame} is outside 0..{self.frame_count - 1}"
            )
        if not _SHA256.fullmatch(self.source_sha256):
            raise MediaError(f"{self.source_sha256!r} is not the SHA-256 of a clip")
        if self.rate <= 0:
            raise MediaError(f"A motion template needs a positive rate, this has {self.rate}")
        for name, array in self.arrays.items():
            if array.dtype.kind not in _ALLOWED_KINDS:
                raise MediaError(f"Array {name!r} of a motion template has dtype {array.dtype}")

    @property
    def performance(self) -> str | None:
        """The performance it was written from, which loops: its first frame follows its last."""
        name = self.facts.get("performance")
        return name if isinstance(name, str) else None

    @property
    def duration_s(self) -> float:
        """Seconds that the frames last."""
        return float(self.frame_count / self.rate)

    def save(self, path: Path) -> None:
        """Write the template beside `path`, sync, rename. Equal templates give equal bytes.

        Raises:
            StoreError: the folder cannot be written to, or the disk is full.
            ValueError: `facts` contains values that JSON cannot express.
        """
        header = {
            "schema": SCHEMA_VERSION,
            "engine": self.engine,
            "engine_version": self.engine_version,
            "rate": [self.rate.numerator, self.rate.denominator],
            "frame_count": self.frame_count,
            "source_sha256": self.source_sha256,
            "neutral_frame": self.neutral_frame,
            "facts": dict(self.facts),
            "arrays": {
                name: {"shape": list(array.shape), "dtype": array.dtype.name}
                for name, array in sorted(self.arrays.items())
            },
        }
        with (
            replacing(path) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
        ):
            text = json.dumps(header, sort_keys=True, indent=1, allow_nan=False)
            archive.writestr(_zip_member("header.json"), text)
            for name, array in sorted(self.arrays.items()):
                buffer = io.BytesIO()
                npy.write_array(buffer, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
                archive.writestr(_zip_member(f"{name}.npy"), buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> "MotionTemplate":
        """Read a template back.

        Raises:
            MediaError: the file is damaged, of another schema, too large, or its arrays are not
                what its header says.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                _check_unpacked_size(archive)
                header = _read_header(archive)
                arrays = {
                    name: _read_array(archive, name, declared)
                    for name, declared in dict(header["arrays"]).items()
                }
            return cls(
                engine=str(header["engine"]),
                engine_version=str(header["engine_version"]),
                rate=Fraction(*header["rate"]),
                frame_count=int(header["frame_count"]),
                source_sha256=str(header["source_sha256"]),
                neutral_frame=int(header["neutral_frame"]),
                arrays=arrays,
                facts=dict(header["facts"]),
            )
        except MediaError as error:
            raise MediaError(
                error.what, where=path, remedy=_EXTRACT_AGAIN, code="template"
            ) from error
        except _UNREADABLE as error:
            raise MediaError(
                f"Motion template cannot be read: {error}",
                where=path,
                remedy=_EXTRACT_AGAIN,
                code="template",
            ) from error


def _check_unpacked_size(archive: zipfile.ZipFile) -> None:
    size = sum(info.file_size for info in archive.infolist())
    if size > MAX_BYTES:
        raise MediaError(f"Motion template unpacks to {size} bytes, more than {MAX_BYTES}")


def _read_header(archive: zipfile.ZipFile) -> dict[str, Any]:
    header = json.loads(archive.read("header.json"))
    if not isinstance(header, dict) or header["schema"] != SCHEMA_VERSION:
        declared = header.get("schema") if isinstance(header, dict) else header
        raise MediaError(f"Motion template has schema {declared!r}, not {SCHEMA_VERSION}")
    return header


def _read_array(archive: zipfile.ZipFile, name: str, declared: Mapping[str, Any]) -> NDArray[Any]:
    """One array, if the .npy member, its own header and the template's header all agree.

    The size is compared before anything of that size is allocated.
    """
    raw = archive.read(f"{name}.npy")
    member = io.BytesIO(raw)
    if npy.read_magic(member) != (1, 0):
        raise MediaError(f"Array {name!r} of a motion template is of another .npy version")
    shape, _, dtype = npy.read_array_header_1_0(member)
    actual = (list(shape), dtype.name)
    if actual != (declared["shape"], declared["dtype"]) or dtype.kind not in _ALLOWED_KINDS:
        raise MediaError(
            f"Array {name!r} is {actual[1]} {actual[0]}, its header says {dict(declared)}"
        )
    if len(raw) - member.tell() != math.prod(shape) * dtype.itemsize:
        raise MediaError(f"Array {name!r} of a motion template is cut short")
    member.seek(0)
    return npy.read_array(member, allow_pickle=False)


def _zip_member(name: str) -> zipfile.ZipInfo:
    """A zip member without the time of day, so that equal templates are equal files."""
    info = zipfile.ZipInfo(name, date_time=_EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
