"""The process of a voice worker: makes one engine, answers requests, ends with its parent.

    python -m sunriza_assets.studio.speech.voices.child ENGINE MODELS PARENT

Requests come on standard input, answers go to standard output (`wire`). A request is answered by
parts and then `end`, or by `error`. The kernel's death signal (`with_parent`) is no use here: it is
tied to the thread that starts a process, and any thread of a server may be the first to speak.
Instead a thread of this process waits for the end of standard input and looks whose child it is.
"""

import os
import queue
import resource
import select
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from sunriza_assets.errors import EngineError, SunrizaError
from sunriza_assets.studio.speech.voices.protocol import VoiceEngine
from sunriza_assets.studio.speech.voices.wire import (
    error_to_dict,
    receive,
    request_from,
    send,
    speech_to_dict,
)

__all__ = ["IDLE_S", "main", "make_engine"]

IDLE_S: Final = 600.0
"""How long a worker waits for the next request before it ends, to give its memory back."""
_LOOK_S: Final = 5.0
_PARENT_GONE: Final = 3


def make_engine(name: str, models: Path) -> VoiceEngine:
    """The engine of this name, loaded.

    Args:
        name: as in `engine=`.
        models: the models folder.

    Raises:
        ModelError: its package or weights are missing; the message names the command.
        EngineError: there is no such engine.
    """
    if name == "espeak":
        from sunriza_assets.studio.speech.voices.espeak import Espeak

        return Espeak()
    if name == "piper":
        from sunriza_assets.studio.speech.voices.piper import Piper

        return Piper(models)
    if name == "kokoro":
        from sunriza_assets.studio.speech.voices.kokoro import Kokoro

        return Kokoro(models)
    if name == "pocket":
        from sunriza_assets.studio.speech.voices.pocket import Pocket

        return Pocket(models)
    raise EngineError(f"There is no voice engine {name!r}")


class _Requests:
    """What the parent asks for, read by a thread while the main thread speaks."""

    def __init__(self, source: BinaryIO, parent: int) -> None:
        self.waiting: queue.Queue[dict[str, Any]] = queue.Queue()
        self.stopped = -1
        """Number of the newest request that nobody waits for any more."""
        self._source = source
        self._parent = parent
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> NoReturn:
        ready = select.poll()
        ready.register(self._source, select.POLLIN)
        try:
            while True:
                while not ready.poll(_LOOK_S * 1000):
                    if os.getppid() != self._parent:
                        os._exit(_PARENT_GONE)
                message, _ = receive(self._source)
                if "stop" in message:
                    self.stopped = int(message["stop"])
                else:
                    self.waiting.put(message)
        except EOFError:
            os._exit(_PARENT_GONE)
        except BaseException:  # noqa: BLE001 - without this thread nothing would end the process
            traceback.print_exc()
            os._exit(1)


def main() -> None:
    """Answer requests until the parent ends or nothing has been asked for a while."""
    name, models, parent = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not end up in the answers
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests = _Requests(os.fdopen(0, "rb", buffering=0), parent)
    engine: VoiceEngine | None = None
    while True:
        try:
            message = requests.waiting.get(timeout=IDLE_S)
        except queue.Empty:
            os._exit(0)
        used = time.process_time()
        try:
            engine = engine or make_engine(name, models)
            for part in engine.stream(request_from(message)):
                if requests.stopped >= message["number"]:
                    break
                now = time.process_time()
                answer = replace(part, cpu_seconds=now - used)
                used = now
                send(answers, {"part": speech_to_dict(answer)}, part.sound.samples)
            send(answers, {"end": message["number"]})
        except SunrizaError as error:
            send(answers, {"error": error_to_dict(error)})


if __name__ == "__main__":
    main()
