"""A process that forks the children of `sandbox`, for processes that decode file after file.

Starting a child takes 0.28 s of processor time, nearly all of it imports. The fork server has them
behind it, and a child that it forks is at work after 5 ms. Each task still has a process of its own
with the limits of `worker`; the server itself has one thread and never touches a file from outside.

Over a socket the server is sent, for each task, the child's standard input, output and error, and
a channel. On the channel it answers with one line for the child's id, and with one when the child
has ended: its wait status, and its CPU seconds. A byte on the channel, or its end, kills the child.
"""

import gc
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import IO, Final, NoReturn

from sunriza_assets.errors import MediaError

__all__ = ["ForkServer", "ForkedChild"]

_DESCRIPTORS: Final = 4
"""Descriptors of a task: standard input, output, error, and its channel."""
_KILL: Final = b"k"


class ForkedChild:
    """One forked child, with as much of `subprocess.Popen` as `sandbox` uses.

    Args:
        server: its CPU seconds are added there.
        pid: its process id.
        pipes: our ends of its standard input, output and error.
        channel: to the fork server.
    """

    def __init__(
        self,
        server: "ForkServer",
        pid: int,
        pipes: tuple[IO[bytes], IO[bytes], IO[bytes]],
        channel: socket.SocketIO,
    ) -> None:
        self.pid = pid
        """Process id."""
        self.stdin, self.stdout, self.stderr = pipes
        self._server = server
        self._channel = channel
        self._status: int | None = None

    def wait(self) -> int:
        """Wait for the child's end; its exit code, negative for a signal.

        A fork server that was killed leaves no status; its child ends when its input is closed.
        """
        if self._status is None:
            words = self._channel.readline().split()
            self._status = os.waitstatus_to_exitcode(int(words[0])) if words else -signal.SIGKILL
            self._server.add_cpu_seconds(float(words[1]) if words else 0.0)
        return self._status

    def kill(self) -> None:
        """Kill the child and its process group, if it has not ended, and wait for its end."""
        if self._status is None:
            with suppress(OSError):
                self._channel.write(_KILL)
        self.wait()
        self._channel.close()


class ForkServer:
    """The fork server of this process; started with the first task, and anew when it was killed.

    May be used from several threads.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._spent = threading.local()

    @property
    def thread_cpu_s(self) -> float:
        """CPU seconds of the children that this thread has waited for."""
        return getattr(self._spent, "cpu_s", 0.0)

    def add_cpu_seconds(self, seconds: float) -> None:
        """Count the CPU seconds of a child that this thread has waited for."""
        self._spent.cpu_s = self.thread_cpu_s + seconds

    def start(self) -> ForkedChild:
        """Fork a child that waits for its task on standard input.

        Raises:
            MediaError: `crashed`: the fork server cannot be started.
        """
        try:
            return self._start()
        except MediaError:  # it was killed since the last task
            return self._start()

    def close(self) -> None:
        """End the server; children at work end with their tasks."""
        with self._guard:
            self._end()

    def _start(self) -> ForkedChild:
        with ExitStack() as theirs, ExitStack() as ours:
            stdin_end, stdin = _pipe(theirs, ours)
            stdout, stdout_end = _pipe(ours, theirs)
            stderr, stderr_end = _pipe(ours, theirs)
            near, far = socket.socketpair()
            ours.enter_context(near)
            theirs.enter_context(far)
            ends = [end.fileno() for end in (stdin_end, stdout_end, stderr_end, far)]
            process = self._running()
            try:
                self._send(ends)
                theirs.close()  # else our copy would keep a pipe open that the child has closed
                channel = ours.enter_context(near.makefile("rwb", buffering=0))
                pid = int(channel.readline())
            except (OSError, ValueError) as problem:  # no line: no number
                self._abandon(process)
                raise MediaError(
                    "The process that starts decoders has ended",
                    remedy="Try again.",
                    code="crashed",
                ) from problem
            ours.pop_all()
            near.close()  # its file stays open
            return ForkedChild(self, pid, (stdin, stdout, stderr), channel)

    def _running(self) -> "subprocess.Popen[bytes]":
        """The server's process, started if there is none."""
        with self._guard:
            if self._process is None or self._process.poll() is not None:
                self._process = self._begin()
            return self._process

    def _send(self, descriptors: list[int]) -> None:
        with self._guard:
            if self._socket is not None:
                socket.send_fds(self._socket, [b"t"], descriptors)

    def _abandon(self, process: "subprocess.Popen[bytes]") -> None:
        """Let the next task start another server in the place of one that does not answer."""
        with self._guard:
            if self._process is process:  # else another thread has started one already
                process.kill()
                self._end()

    def _begin(self) -> "subprocess.Popen[bytes]":
        self._end()
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
            )
        self._socket = ours
        return process

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()  # which the server notices
        if self._process is not None:
            self._process.wait()
        self._socket = self._process = None


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """(reading end, writing end) of a pipe, each closed with its stack."""
    reading, writing = os.pipe()
    return (
        reader.enter_context(os.fdopen(reading, "rb", 0)),
        writer.enter_context(os.fdopen(writing, "wb", 0)),
    )


# -- the server's own process ------------------------------------------------------------------


class _Server:
    """Forks children for what comes over a socket, until it is closed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._channels: dict[int, socket.socket] = {}  # by the child's process id
        self._selector = selectors.DefaultSelector()
        self._wake, self._notify = os.pipe()

    def run(self) -> None:
        for end in (self._wake, self._notify):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._notify, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # ignored ones would not wake us
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._wake:
                    os.read(self._wake, 4096)
                    self._reap()
                elif key.fd == self._control.fileno():
                    message, ends, _, _ = socket.recv_fds(self._control, 1, _DESCRIPTORS)
                    if not message:
                        return
                    self._fork(ends)
                else:
                    self._kill(key.data)

    def _fork(self, ends: list[int]) -> None:
        """Fork a child with these as standard input, output, error, and channel."""
        pid = os.fork()
        if pid == 0:
            self._become_child(ends)
        channel = socket.socket(fileno=ends.pop())
        for end in ends:
            os.close(end)
        self._channels[pid] = channel
        self._selector.register(channel, selectors.EVENT_READ, pid)
        with suppress(OSError):  # the end of the channel is noticed in its turn
            channel.sendall(b"%d\n" % pid)

    def _become_child(self, ends: list[int]) -> NoReturn:
        from sunriza_assets.studio.media import worker

        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for number, end in enumerate(ends[:3]):
            os.dup2(end, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        worker.run()

    def _kill(self, pid: int) -> None:
        """Kill a child that is not wanted any more; it has not been reaped, so the id is its."""
        self._selector.unregister(self._channels[pid])
        os.kill(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):  # it had no group of its own yet
            os.killpg(pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Report children that have ended."""
        while self._channels:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            channel = self._channels.pop(pid)
            with suppress(KeyError):  # it was killed
                self._selector.unregister(channel)
            with channel, suppress(OSError):
                channel.sendall(b"%d %.6f\n" % (status, used.ru_utime + used.ru_stime))


def main() -> None:
    """Serve standard input, a socket, until it is closed."""
    from sunriza_assets.studio.media import worker

    control = socket.socket(fileno=os.dup(0))
    worker.preload()
    gc.freeze()  # a collection in a child would copy all pages
    _Server(control).run()


if __name__ == "__main__":
    main()
