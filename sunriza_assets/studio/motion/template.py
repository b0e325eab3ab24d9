"""The motion template: everything an engine needs to know of a clip, as named arrays in one .npz.

The file is a plain zip of .npy members plus `header.json`; nothing in it is ever unpickled. What
arrays an engine writes is the engine's own affair and stands in its package; this module only
keeps the container: schema version, engine, exact rate, source hash, shapes.
"""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import MediaError

__all__ = ["SCHEMA_VERSION", "MotionTemplate"]

SCHEMA_VERSION: Final = 1
MAX_BYTES: Final = 512 * 1024 * 1024
"""No honest template of a 10 s clip comes near; a bomb does."""
_ALLOWED_KINDS: Final = frozenset("fiub")
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
    """What else is worth telling (faces found, gaps filled, warnings): JSON values only."""

    def __post_init__(self) -> None:
        if self.frame_count < 1:
            raise MediaError(f"A motion template needs frames, this has {self.frame_count}")
        if not 0 <= self.neutral_frame < self.frame_count:
            raise MediaError(
                f"Neutral frame {self.neutral_frame} is outside 0..{self.frame_count - 1}"
            )
        if self.rate <= 0:
            raise MediaError(f"A motion template needs a positive rate, this has {self.rate}")
        for name, array in self.arrays.items():
            if array.dtype.kind not in _ALLOWED_KINDS:
                raise MediaError(f"Array {name!r} of a motion template has dtype {array.dtype}")

    @property
    def duration_s(self) -> float:
        """Seconds that the frames last."""
        return float(self.frame_count / self.rate)

    def save(self, path: Path) -> None:
        """Write the template beside `path`, sync, rename. Equal templates give equal bytes."""
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
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with beside.open("wb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
                    text = json.dumps(header, sort_keys=True, indent=1, allow_nan=False)
                    archive.writestr(_member("header.json"), text)
                    for name, array in sorted(self.arrays.items()):
                        buffer = io.BytesIO()
                        np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
                        archive.writestr(_member(f"{name}.npy"), buffer.getvalue())
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> "MotionTemplate":
        """Read a template back.

        Raises:
            MediaError: the file is damaged, of another schema, too large, or its arrays are not
                what its header says.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
                    raise MediaError("Motion template unpacks to too much", where=path)
                header = json.loads(archive.read("header.json"))
                if header["schema"] != SCHEMA_VERSION:
                    raise MediaError(
                        f"Motion template has schema {header['schema']}, not {SCHEMA_VERSION}",
                        where=path,
                        remedy="Render with --force to extract it again.",
                    )
                arrays = {
                    name: _read_array(archive, name, said)
                    for name, said in header["arrays"].items()
                }
            return cls(
                engine=str(header["engine"]),
                engine_version=str(header["engine_version"]),
                rate=Fraction(*header["rate"]),
                frame_count=int(header["frame_count"]),
                source_sha256=str(header["source_sha256"]),
                neutral_frame=int(header["neutral_frame"]),
                arrays=arrays,
                facts=header["facts"],
            )
        except MediaError:
            raise
        except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise MediaError(
                f"Motion template cannot be read: {error}",
                where=path,
                remedy="Render with --force to extract it again.",
                code="template",
            ) from error


def _read_array(archive: zipfile.ZipFile, name: str, said: Mapping[str, Any]) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        array: NDArray[Any] = np.load(io.BytesIO(member.read()), allow_pickle=False)
    if list(array.shape) != said["shape"] or array.dtype.name != said["dtype"]:
        raise MediaError(f"Array {name!r} is {array.shape} {array.dtype}, its header says {said}")
    return array


def _member(name: str) -> zipfile.ZipInfo:
    """A zip member without the time of day, so that equal templates are equal files."""
    info = zipfile.ZipInfo(name, date_time=_EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
