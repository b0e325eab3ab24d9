"""A worker may hang, crash and lose its parent; the next request is spoken all the same."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sunriza_assets.errors import SpeechError
from sunriza_assets.studio.speech.speech import joined
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.worker import VoiceWorker
from sunriza_assets_tests.processes import has_ended, wait_for

OVERFLOWING = "x.y." * 1200
"""eSpeak NG 1.52 writes beyond a buffer and mostly dies of it; cleaned text has no such words."""
ABORTING = """
import os
from sunriza_assets.studio.speech.voices import child

class Aborting:
    def stream(self, request):
        if request.text == "crash":
            os.abort()
        return child_engine("espeak", None).stream(request)

child_engine = child.make_engine
child.make_engine = lambda name, models: Aborting()
child.main()
"""
PARENT = """
import sys, threading, time
from pathlib import Path
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
from sunriza_assets.studio.speech.voices.worker import VoiceWorker
worker = VoiceWorker("espeak", Path(sys.argv[1]))
first = threading.Thread(target=lambda: list(worker.stream(SpeakRequest("eins", "de"))))
first.start()
first.join()
assert list(worker.stream(SpeakRequest("zwei", "de")))
print(worker.process_id, flush=True)
time.sleep(600)
"""


def seconds(worker: VoiceWorker, text: str) -> float:
    return joined(worker.stream(SpeakRequest(text, "de"))).sound.seconds


def test_a_crash_is_a_named_error_and_the_next_text_is_spoken(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ABORTING, "espeak", str(tmp_path), str(os.getpid())]
    with VoiceWorker("espeak", tmp_path, command=command) as worker:
        with pytest.raises(SpeechError) as caught:
            seconds(worker, "crash")
        assert caught.value.code == "speech.worker_crashed"
        assert "SIGABRT" in caught.value.message
        assert seconds(worker, "Guten Morgen") > 0.5


def test_a_text_that_overflows_the_library_harms_no_later_one(espeak: VoiceWorker) -> None:
    try:
        assert seconds(espeak, OVERFLOWING) > 0
    except SpeechError as error:
        assert error.code == "speech.worker_crashed"
    assert seconds(espeak, "Guten Morgen") > 0.5


def test_a_worker_that_hangs_is_a_named_error_and_the_next_text_is_spoken(tmp_path: Path) -> None:
    with VoiceWorker("espeak", tmp_path) as worker:
        assert seconds(worker, "eins") > 0
        hung = worker.process_id
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        impatient = worker.stream(SpeakRequest("zwei", "de"), patience_s=0.2)
        with pytest.raises(SpeechError) as caught:
            next(impatient)
        assert caught.value.code == "speech.worker_hung"
        assert worker.process_id is None
        assert seconds(worker, "Guten Morgen") > 0.5


def test_a_worker_that_was_killed_while_idle_is_started_again(espeak: VoiceWorker) -> None:
    assert seconds(espeak, "eins") > 0
    before = espeak.process_id
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: espeak.process_id is None)
    assert seconds(espeak, "zwei") > 0
    assert espeak.process_id != before


def test_a_listener_who_leaves_does_not_disturb_the_next(espeak: VoiceWorker) -> None:
    parts = espeak.stream(SpeakRequest("Guten Morgen", "de"))
    next(parts)
    parts.close()  # type: ignore[attr-defined]
    kept = espeak.process_id
    assert seconds(espeak, "Guten Abend") > 0.5
    assert espeak.process_id == kept


def test_it_outlives_the_thread_that_started_it_but_not_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout as told:
        worker = psutil.Process(int(told.readline()))
        assert os.getpgid(worker.pid) == worker.pid, "in a group of its own"
        parent.kill()
        parent.wait()
    wait_for(lambda: has_ended(worker))
