"""Untrusted media files are processed in a child process with resource limits.

The child (`worker`) has a ceiling on memory, processor time and open files, its own process group,
and nothing of Dagster or torch to load: it starts in about 0.2 s. A codec that crashes, hangs or
eats memory ends the child, and becomes a named error here. When the parent ends, however it ends,
the child notices that its standard input closes and ends too. Whoever outlives the other removes
what both have left: the file that was being written, and the child's folder for temporary files.

On the wire: one JSON line with the task to the child; JSON lines back (`progress`, then `value` or
`error`), the last followed by raw bytes if it announces a `payload`.
"""

import contextlib
import json
import logging
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sunriza_assets.atomic import store_errors
from sunriza_assets.errors import MediaError, StoreError, SunrizaError
from sunriza_assets.studio.media.files import part_path
from sunriza_assets.studio.media.forking import ForkedChild, ForkServer
from sunriza_assets.studio.media.limits import Limits

__all__ = ["Progress", "Reply", "fork_server", "run_task"]

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all)."""

_PACKAGE_ROOT: Final = Path(__file__).resolve().parents[3]
_STDERR_BYTES: Final = 8192
"""Kept tail of the child's standard error."""
_CHUNK: Final = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """Result of a task."""

    value: dict[str, Any]
    """JSON values."""
    payload: bytearray
    """Raw bytes that follow it, usually none."""


def run_task(
    task: str,
    path: Path,
    *,
    limits: Limits,
    seconds: float,
    arguments: Mapping[str, Any] | None = None,
    destination: Path | None = None,
    progress: Progress | None = None,
) -> Reply:
    """Run one task of `worker` on a file and wait for it.

    Args:
        task: a name in `worker.TASKS`.
        path: the file from outside.
        limits: memory, and what the task itself refuses.
        seconds: wall time it may take.
        arguments: further JSON values for the task.
        destination: the file it writes, if any; what is left of it is removed if it fails.
        progress: called with steps done and total steps.

    Raises:
        MediaError: what the task raised, or `timeout`, `memory`, `crashed`.
        StoreError: the destination cannot be written, or the disk is full.
    """
    with _temporary_folder() as temporary:
        request = {
            "task": task,
            "path": str(path.absolute()),
            "limits": limits.to_dict(),
            "seconds": seconds,
            "arguments": dict(arguments or {}),
            "destination": str(destination.absolute()) if destination else None,
            "temporary": str(temporary),
        }
        child = _start_child()
        pipes = _ChildPipes(child, path, time.monotonic() + seconds)
        try:
            pipes.send(request)
            return pipes.receive(progress)
        finally:
            _kill(child)
            if destination is not None:
                part_path(destination, child.pid).unlink(missing_ok=True)


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """Inside the block, tasks of this process are done by children of one fork server.

    For processes that decode many small files; see `forking`.
    """
    global _fork_server  # noqa: PLW0603 - a property of the process, as its children are
    before = _fork_server
    with contextlib.closing(ForkServer(_environment())) as server:
        _fork_server = server
        try:
            yield server
        finally:
            _fork_server = before


_fork_server: ForkServer | None = None


def _start_child() -> "subprocess.Popen[bytes] | ForkedChild":
    if _fork_server is not None:
        return _fork_server.start()
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "sunriza_assets.studio.media.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        start_new_session=True,
    )


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A temporary folder, removed when the child has ended for whatever reason."""
    with store_errors("write", tempfile.gettempdir()):
        folder = Path(tempfile.mkdtemp(prefix="sunriza-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    """The child's environment: no secrets, and single-threaded numeric libraries."""
    inherited = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TMPDIR")
    passed = {name: os.environ[name] for name in inherited if name in os.environ}
    return passed | {
        "PYTHONPATH": str(_PACKAGE_ROOT),
        "PYTHONUTF8": "1",
        "MALLOC_ARENA_MAX": "2",  # an arena per thread would fill the address space
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _kill(child: "subprocess.Popen[bytes] | ForkedChild") -> None:
    """Kill the child's process group and close its pipes."""
    if isinstance(child, ForkedChild):
        child.kill()
    elif child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


class _ChildPipes:
    """The pipes to a child process, with a deadline."""

    def __init__(
        self, child: "subprocess.Popen[bytes] | ForkedChild", path: Path, deadline: float
    ) -> None:
        self._child = child
        self._path = path
        self._deadline = deadline
        self._buffer = bytearray()
        self._stderr_tail = bytearray()
        self._selector = selectors.DefaultSelector()
        for stream, name in ((child.stdout, "out"), (child.stderr, "err")):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream.fileno(), selectors.EVENT_READ, name)

    def send(self, request: Mapping[str, Any]) -> None:
        """Send the task; standard input stays open so that the child notices our end."""
        stdin = self._child.stdin
        with suppress(BrokenPipeError):  # the child ended at once: `receive` reports how
            if stdin is not None:
                stdin.write(json.dumps(request).encode() + b"\n")
                stdin.flush()

    def receive(self, progress: Progress | None) -> Reply:
        """Wait for the answer and pass on progress."""
        try:
            while True:
                message = json.loads(self._read_line())
                if "progress" in message:
                    if progress is not None:
                        progress(*message["progress"])
                elif "error" in message:
                    raise _error_from_dict(message["error"])
                else:
                    return Reply(message["value"], self._read_bytes(message.get("payload", 0)))
        finally:
            self._selector.close()

    def _read_line(self) -> bytearray:
        while (end := self._buffer.find(b"\n")) < 0:
            self._read_more()
        return self._consume(end + 1)

    def _read_bytes(self, count: int) -> bytearray:
        while len(self._buffer) < count:
            self._read_more()
        return self._consume(count)

    def _consume(self, count: int) -> bytearray:
        if count == len(self._buffer):  # a large payload is handed on without a copy
            taken, self._buffer = self._buffer, bytearray()
            return taken
        taken = self._buffer[:count]
        del self._buffer[:count]
        return taken

    def _read_more(self) -> None:
        """Read the next data from the child.

        Raises:
            MediaError: the child has ended, or the deadline has passed.
        """
        left = self._deadline - time.monotonic()
        ready = self._selector.select(left) if left > 0 else []
        if not ready:
            raise MediaError(
                "Decoding takes longer than is allowed",
                where=self._path,
                remedy="Shorten the clip or choose a smaller resolution.",
                code="timeout",
            )
        for key, _ in ready:
            data = os.read(key.fd, _CHUNK)
            if key.data == "err":
                self._stderr_tail = (self._stderr_tail + data)[-_STDERR_BYTES:]
            else:
                self._buffer += data
            if not data:
                self._selector.unregister(key.fd)
                if key.data == "out":
                    raise self._exit_error()

    def _exit_error(self) -> MediaError:
        """The error for a child that ended without an answer."""
        code = self._child.wait()
        _log.warning(
            "The decoder of %s ended with %s: %s",
            self._path, code, self._stderr_tail.decode("utf-8", "replace").strip(),
        )  # fmt: skip
        if code == -signal.SIGXCPU:
            what, name = "Decoding takes longer than is allowed", "timeout"
        elif code == -signal.SIGKILL:
            what, name = "Decoding was stopped: the machine is short of memory", "memory"
        elif code < 0:
            what, name = f"The decoder crashed ({signal.Signals(-code).name})", "crashed"
        else:
            what, name = f"The decoder gave up (exit status {code})", "crashed"
        return MediaError(
            what, where=self._path, remedy="Export the file anew and try again.", code=name
        )


def _error_from_dict(fields: Mapping[str, Any]) -> SunrizaError:
    kind = StoreError if fields["family"] == StoreError.family else MediaError
    return kind(fields["what"], where=fields["where"], remedy=fields["remedy"], code=fields["code"])
