"""Safe copies of the portrait and clip that a user names, or a named refusal.

A portrait becomes an object that others may read, so it must be a regular picture file: no symbolic
link (which may point to a system file), no pipe or device, no file over the size limit. The file is
opened once, without following links, and all checks are made on the open descriptor, so that it
cannot be replaced between check and copy (TOCTOU).
"""

import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import MediaError
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS, Limits
from sunriza_assets.studio.media.sniff import HEAD_BYTES, SUFFIXES, FileKind, Medium, sniff

__all__ = ["copy_inputs"]

_CHUNK: Final = 1 << 20
_FOLDER_FLAGS: Final = (
    getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
)
"""Flags for opening parent folders; on Linux O_PATH needs no permission to list them."""
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags for opening the file: O_NONBLOCK, so that a pipe without a writer does not block."""
_SPECIAL: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def copy_inputs(
    portrait: Path, clip: Path | None, folder: Path, *, limits: Limits = DEFAULT_LIMITS
) -> tuple[Path, Path | None]:
    """Copy a portrait and a clip into a folder; their bytes say what they are, not their names.

    Args:
        portrait: a picture.
        clip: a moving one; None where a built-in performance moves the portrait.
        folder: where the copies go, named `portrait` and `clip` with the suffix of their format.
        limits: `file_bytes` applies.

    Returns:
        The copies of the portrait and the clip.

    Raises:
        MediaError: `link`, `special`, `unreadable`, `empty`, `too_large`, `unsupported`, or
            `swapped`: one is where the other should be.
        StoreError: a copy cannot be written.
    """
    with ExitStack() as opened:
        first = opened.enter_context(_InputFile(portrait, limits))
        second = None if clip is None else opened.enter_context(_InputFile(clip, limits))
        _check_roles(first, second)
        return (
            first.copy_to(folder / "portrait"),
            None if second is None else second.copy_to(folder / "clip"),
        )


class _InputFile:
    """A regular file, open for reading, with its format by its first bytes.

    Raises:
        MediaError: it is a link, no plain file, empty or too large, or cannot be read.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        self._file = _open(path)
        try:
            self._check()
            self.kind: FileKind = sniff(os.pread(self._file, HEAD_BYTES, 0))
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> "_InputFile":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def copy_to(self, place: Path) -> Path:
        """Copy the content atomically; a file that grows beyond the limit meanwhile is refused."""
        target = place.with_suffix(SUFFIXES[self.kind.name])
        written = 0
        with replacing(target) as out:
            while piece := os.pread(self._file, _CHUNK, written):
                written += len(piece)
                if written > self._limits.file_bytes:
                    raise self._too_large(written)
                out.write(piece)
        return target

    def _check(self) -> None:
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode):
            what = _SPECIAL.get(stat.S_IFMT(status.st_mode), "something else")
            raise MediaError(
                f"This is {what}, not a file",
                where=self.path,
                remedy="Name a picture or clip.",
                code="special",
            )
        if status.st_size == 0:
            raise MediaError(
                "The file is empty", where=self.path, remedy="Export it again.", code="empty"
            )
        if status.st_size > self._limits.file_bytes:
            raise self._too_large(status.st_size)

    def _too_large(self, size: int) -> MediaError:
        return MediaError(
            f"The file has {size / 1e6:.1f} MB, more than {self._limits.file_bytes / 1e6:.0f} MB",
            where=self.path,
            remedy="Shorten it or choose a smaller resolution.",
            code="too_large",
        )


def _open(path: Path) -> int:
    """A descriptor of a file, reached without following a link.

    Links in the root folder are the system's own (macOS keeps /tmp as one) and are followed.
    """
    whole = path.absolute()
    root, *folders, name = whole.parts if len(whole.parts) > 1 else ("/", ".")
    place = -1
    try:
        top = os.path.realpath(Path(root, folders.pop(0))) if folders else root
        place = os.open(top, _FOLDER_FLAGS & ~os.O_NOFOLLOW)
        for folder in folders:
            inner = os.open(folder, _FOLDER_FLAGS, dir_fd=place)
            os.close(place)
            place = inner
        return os.open(name, _FILE_FLAGS, dir_fd=place)
    except (OSError, ValueError) as problem:  # ValueError: a path with a null byte
        raise _open_error(path, problem) from problem
    finally:
        if place >= 0:
            os.close(place)


def _open_error(path: Path, problem: OSError | ValueError) -> MediaError:
    """The error for a file that could not be opened."""
    with suppress(OSError, ValueError):
        if any(part.is_symlink() for part in (path.absolute(), *path.absolute().parents[:-2])):
            return MediaError(
                "This is a link, or lies behind one",
                where=path,
                remedy=f"Name the file itself: {path.resolve()}",
                code="link",
            )
        if not path.exists():
            return MediaError(
                "There is no such file", where=path, remedy="Check its name.", code="unreadable"
            )
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind in _SPECIAL:  # a socket cannot even be opened
            return MediaError(f"This is {_SPECIAL[kind]}, not a file", where=path, code="special")
    reason = problem.strerror if isinstance(problem, OSError) else problem
    return MediaError(f"The file cannot be read: {reason}", where=path, code="unreadable")


def _check_roles(portrait: _InputFile, clip: _InputFile | None) -> None:
    """Refuse what is not a picture and a clip, in this order."""
    is_clip = portrait.kind.medium is Medium.CLIP
    is_picture = clip is not None and clip.kind.medium is Medium.PICTURE
    if is_clip or is_picture:
        found = [
            *(["the portrait is a video"] if is_clip else []),
            *(["the clip is a picture"] if is_picture else []),
        ]
        raise MediaError(
            " and ".join(found).capitalize() + ("; did you swap the two?" if is_clip else ""),
            where=portrait.path if is_clip or clip is None else clip.path,
            remedy="Give a picture as the portrait and a talking clip as the video.",
            code="swapped",
        )
    for file, role, medium, wanted in (
        (portrait, "portrait", Medium.PICTURE, "JPEG, PNG, WebP, AVIF or HEIC"),
        (clip, "clip", Medium.CLIP, "MP4, MOV, WebM or MKV"),
    ):
        if file is not None and file.kind.medium is not medium:
            raise MediaError(
                f"The {role} is a {file.kind.name}",
                where=file.path,
                remedy=f"Save it as {wanted}.",
                code="unsupported",
            )
