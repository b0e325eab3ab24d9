"""A voice engine in a process of its own, which may hang or crash without harm to this one.

GPL libraries and large models are loaded there and nowhere else. The process runs in a group of its
own, ends with this one, and is started again for the next request after it was lost.
"""

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from sunriza_assets.errors import SpeechError
from sunriza_assets.studio.speech.sound import Samples
from sunriza_assets.studio.speech.speech import Speech, joined
from sunriza_assets.studio.speech.voices import xtts_data
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.wire import (
    error_from,
    receive,
    request_to_dict,
    send,
    speech_from,
)

__all__ = ["VoiceWorker", "isolated_command", "worker_command"]

_LOADING_S: Final = 120.0
_SECONDS_A_CHARACTER: Final = 0.5
"""Patience with slow engines on a crowded machine, not their speed."""
_STOPPING_S: Final = 5.0
_CHILD: Final = "sunriza_assets.studio.speech.voices.child"
_ROOT: Final = Path(__file__).resolve().parents[4]
_ISOLATED: Final = """
import importlib, sys
from importlib.machinery import PathFinder

class OnePackage:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "sunriza_assets":
            return PathFinder.find_spec(name, [{root!r}], target)

sys.meta_path.append(OnePackage)
importlib.import_module({child!r}).main()
"""
_log = logging.getLogger(__name__)

_Message = tuple[dict[str, Any], Samples]


def worker_command(engine: str, models: Path) -> list[str]:
    """The command of the worker of an engine.

    Raises:
        ModelError: the engine's own environment is missing.
    """
    own = [engine, str(models), str(os.getpid())]
    if engine == xtts_data.FAMILY:
        return [*isolated_command(xtts_data.find_interpreter(models)), *own]
    return [sys.executable, "-m", _CHILD, *own]


def isolated_command(interpreter: Path) -> list[str]:
    """A command that runs the worker with another interpreter, which sees this package alone.

    The folder that this package lies in may hold our other packages, in versions that do not go
    together with those of that environment.
    """
    return [str(interpreter), "-c", _ISOLATED.format(root=str(_ROOT), child=_CHILD)]


class VoiceWorker:
    """The `VoiceEngine` of this name, elsewhere. Any thread may call; one text at a time is spoken.

    Args:
        engine: name of the engine.
        models: the models folder.
        command: of the process; that of `worker_command` if not given.
    """

    def __init__(self, engine: str, models: Path, *, command: list[str] | None = None) -> None:
        self.name = engine
        self._models = models
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0

    @property
    def process_id(self) -> int | None:
        """Id of the process, if it runs."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def stream(self, request: SpeakRequest, *, patience_s: float | None = None) -> Iterator[Speech]:
        """The parts of a text as they are made; whoever stops to take them stops the synthesis.

        Args:
            request: a checked one.
            patience_s: how long a part is waited for; by the length of the text if not given.

        Raises:
            SpeechError: as the engine; or it hung or crashed, and will be started anew.
            ModelError: as the engine.
        """
        with self._lock:
            self._number += 1
            done = False
            try:
                yield from self._answers(request, patience_s)
                done = True
            except GeneratorExit:
                done = self._stopped()
                raise
            except SpeechError as error:
                done = not error.code.startswith("speech.worker")
                raise
            except Exception:
                done = self.process_id is not None
                raise
            finally:
                if not done:
                    self._kill()

    def speak(self, request: SpeakRequest) -> Speech:
        """The whole text.

        Raises:
            SpeechError, ModelError: as `stream`; or no sound was made of it.
        """
        return joined(self.stream(request))

    @staticmethod
    def patience_s(request: SpeakRequest) -> float:
        """How long a part of this text is waited for, s."""
        return _LOADING_S + _SECONDS_A_CHARACTER * len(request.text)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answers(self, request: SpeakRequest, patience_s: float | None) -> Iterator[Speech]:
        patience = patience_s or self.patience_s(request)
        message, samples = self._first_answer(request, patience)
        while "part" in message:
            yield speech_from(message["part"], samples)
            message, samples = self._answer(patience)
        if "error" in message:
            raise error_from(message["error"])

    def _first_answer(self, request: SpeakRequest, patience: float) -> _Message:
        """Ask; once more if the process has ended by itself, as it does when it is idle."""
        for last in (False, True):
            process = self._running()
            try:
                send(_open(process.stdin), {"number": self._number, **request_to_dict(request)})
                return self._receive(process, patience)
            except (BrokenPipeError, EOFError):
                if last or process.wait() != 0:
                    raise self._lost(process) from None
        raise AssertionError("unreachable")

    def _answer(self, patience: float) -> _Message:
        process = self._process
        if process is None:
            raise TypeError("no process answers")
        try:
            return self._receive(process, patience)
        except EOFError:
            raise self._lost(process) from None

    def _receive(self, process: subprocess.Popen[bytes], patience: float) -> _Message:
        pipe = _Pipe(_open(process.stdout).fileno(), time.monotonic() + patience)
        try:
            return receive(pipe)
        except TimeoutError:
            raise SpeechError(
                f"The voice engine {self.name} has not answered for {patience:.0f} s",
                remedy="Try again with a shorter or simpler text.",
                code="worker_hung",
            ) from None
        except ValueError as error:
            raise SpeechError(
                f"The voice engine {self.name} gave no answer that can be read: {error}",
                code="worker_answer",
            ) from error

    def _lost(self, process: subprocess.Popen[bytes]) -> SpeechError:
        code = process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return SpeechError(
            f"The voice engine {self.name} ended {how} while it spoke this text",
            remedy="Try again with a shorter or simpler text.",
            code="worker_crashed",
        )

    def _stopped(self) -> bool:
        """Tell the process that nobody listens, and read what it has said; whether that worked."""
        try:
            process = self._running()
            send(_open(process.stdin), {"stop": self._number})
            until = time.monotonic() + _STOPPING_S
            while "part" in self._receive(process, until - time.monotonic())[0]:
                pass
        except (OSError, EOFError, SpeechError):
            return False
        return True

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._kill()
        _log.info("starting the voice engine %s", self.name)
        self._process = subprocess.Popen(
            self._command or worker_command(self.name, self._models),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pipe in (process.stdin, process.stdout):
            _open(pipe).close()


class _Pipe:
    """The reading end of a pipe, until a moment."""

    def __init__(self, descriptor: int, until: float) -> None:
        self._descriptor = descriptor
        self._until = until

    def read(self, count: int, /) -> bytes:
        """At most so many bytes, none at the end.

        Raises:
            TimeoutError: nothing came until then.
        """
        ready = select.poll()
        ready.register(self._descriptor, select.POLLIN)
        if not ready.poll(max(0.0, self._until - time.monotonic()) * 1000):
            raise TimeoutError
        return os.read(self._descriptor, min(count, 1 << 20))


def _open(pipe: IO[bytes] | None) -> Any:
    if pipe is None:
        raise TypeError("a process without pipes")
    return pipe
