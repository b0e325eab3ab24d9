"""The child of `sandbox`: reads one task from standard input, does it, answers, ends.

Nothing but PyAV, numpy and Pillow is loaded here.
"""

import contextlib
import json
import os
import resource
import shutil
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from PIL import Image, ImageCms

from sunriza_assets.errors import MediaError, SunrizaError
from sunriza_assets.studio.marks.reading import read_mark_in_process
from sunriza_assets.studio.media import picture, probe, sound_file, trim
from sunriza_assets.studio.media.conform import conform_in_process
from sunriza_assets.studio.media.files import part_path
from sunriza_assets.studio.media.limits import Limits

__all__ = ["TASKS", "Job", "main", "preload", "run"]

_OPEN_FILES: Final = 64
_LARGEST_OUTPUT: Final = 2_000_000_000
_PARENT_GONE: Final = 3
_CPU_SECONDS_PER_SECOND: Final = 4
"""Processor seconds per wall second that decoding and encoding threads may use."""


@dataclass(frozen=True, slots=True)
class Job:
    """One task as requested by the parent."""

    path: Path
    """The file from outside."""
    destination: Path | None
    """The file to write, for tasks that write one."""
    limits: Limits
    """What is refused."""
    arguments: Mapping[str, Any]
    """Further arguments of the task."""
    progress: Callable[[int, int], None]
    """Reports progress to the parent: steps done, total steps."""
    accept: Callable[[], None]
    """To be called once the file has been examined: from now on time is spent on its pixels."""


Result = tuple[dict[str, Any], bytes | memoryview]


def _probe(job: Job) -> Result:
    info = probe.probe_in_process(job.path, job.limits)
    return {"medium": "clip" if hasattr(info, "rate") else "picture", "info": info.to_dict()}, b""


def _trim(job: Job) -> Result:
    if job.destination is None:
        raise MediaError("Trimming needs a destination", where=job.path)
    info = trim.trim_in_process(
        job.path,
        job.destination,
        limits=job.limits,
        accept=job.accept,
        progress=job.progress,
        **job.arguments,
    )
    return info.to_dict(), b""


def _read_picture(job: Job) -> Result:
    pixels = picture.read_picture_in_process(
        job.path, limits=job.limits, accept=job.accept, **job.arguments
    )
    return {"height": pixels.shape[0], "width": pixels.shape[1]}, pixels.data.cast("B")


def _read_sound(job: Job) -> Result:
    samples, rate = sound_file.read_samples_in_process(
        job.path, limits=job.limits, accept=job.accept, **job.arguments
    )
    return {"rate": rate}, samples.data.cast("B")


def _describe_sound(job: Job) -> Result:
    info = sound_file.describe_sound_in_process(job.path, limits=job.limits, accept=job.accept)
    return info.to_dict(), b""


def _read_mark(job: Job) -> Result:
    job.accept()
    return read_mark_in_process(job.path, **job.arguments).to_dict(), b""


def _conform(job: Job) -> Result:
    return conform_in_process(
        job.path, limits=job.limits, accept=job.accept, **job.arguments
    ).to_dict(), b""


TASKS: Final[Mapping[str, Callable[[Job], Result]]] = {
    "conform": _conform,
    "describe_sound": _describe_sound,
    "probe": _probe,
    "read_mark": _read_mark,
    "read_picture": _read_picture,
    "read_sound": _read_sound,
    "trim": _trim,
}


def main() -> None:
    """Do the one task that standard input asks for."""
    out = _redirect_stdout()
    request = json.loads(sys.stdin.buffer.readline())
    limits = Limits(**request["limits"])
    destination = Path(request["destination"]) if request["destination"] else None
    tempfile.tempdir = request["temporary"]
    threading.Thread(
        target=_exit_with_parent, args=[destination, Path(request["temporary"])], daemon=True
    ).start()
    _set_resource_limits(limits, request["seconds"])

    def progress(done: int, total: int) -> None:
        _send(out, {"progress": [done, total]})

    def accept() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))

    job = Job(Path(request["path"]), destination, limits, request["arguments"], progress, accept)
    try:
        value, payload = TASKS[request["task"]](job)
    except SunrizaError as error:
        _send(out, {"error": _error_to_dict(error)})
    except MemoryError:
        _send(out, {"error": _error_to_dict(_out_of_memory(job.path))})
    else:
        _send(out, {"value": value, "payload": len(payload)}, payload)
    _exit_now(0)


def run() -> NoReturn:
    """`main` as the whole life of a process."""
    try:
        main()
    except BaseException:  # noqa: BLE001 - top level of the process: print and fail
        traceback.print_exc()
        _exit_now(1)
    _exit_now(0)


def preload() -> None:
    """Load what tasks would load when they need it; for processes that fork before a task."""
    Image.init()
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
    ImageCms.createProfile("sRGB")


def _redirect_stdout() -> BinaryIO:
    """Reserve standard output for answers; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _send(out: BinaryIO, message: Mapping[str, Any], payload: bytes | memoryview = b"") -> None:
    out.write(json.dumps(message).encode() + b"\n")
    out.write(payload)
    out.flush()


def _exit_with_parent(destination: Path | None, temporary: Path) -> NoReturn:
    """Wait for standard input to close, which happens when the parent ends, then clean up."""
    while os.read(0, 4096):
        pass
    if destination is not None:
        part_path(destination).unlink(missing_ok=True)
    shutil.rmtree(temporary, ignore_errors=True)
    os._exit(_PARENT_GONE)


def _set_resource_limits(limits: Limits, seconds: float) -> None:
    """Set kernel resource limits of this process.

    Until `accept` is called, the CPU limit is that of a probe: a file that is going to be refused
    must not cost more.
    """
    ceilings = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (ceil(limits.probe_seconds), ceil(seconds * _CPU_SECONDS_PER_SECOND)),
        resource.RLIMIT_FSIZE: (_LARGEST_OUTPUT, _LARGEST_OUTPUT),
        resource.RLIMIT_NOFILE: (_OPEN_FILES, _OPEN_FILES),
    }
    if sys.platform == "linux":  # macOS counts shared caches of many gigabytes as address space
        ceilings[resource.RLIMIT_AS] = (limits.memory_bytes, limits.memory_bytes)
    for name, (soft, hard) in ceilings.items():
        _, most = resource.getrlimit(name)
        top = hard if most == resource.RLIM_INFINITY else min(hard, most)
        resource.setrlimit(name, (min(soft, top), top))


def _error_to_dict(error: SunrizaError) -> dict[str, Any]:
    code = error.code.removeprefix(f"{error.family}.") if "." in error.code else None
    return {
        "family": error.family,
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
        "code": code,
    }


def _out_of_memory(path: Path) -> MediaError:
    return MediaError(
        "Decoding needs more memory than is allowed",
        where=path,
        remedy="Choose a smaller resolution.",
        code="memory",
    )


def _exit_now(status: int) -> NoReturn:
    """Exit without interpreter shutdown, which takes longer than a probe."""
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
