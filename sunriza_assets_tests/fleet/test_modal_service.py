"""The service on Modal: the documented address, and a GPU only while jobs are unfinished."""

import ast
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import modal
import pytest

from sunriza_assets_tests.fleet.modal_container import APP, FOLDER, SERVICE, loaded_app
from sunriza_assets_tests.processes import wait_for


@pytest.fixture(scope="module")
def app() -> ModuleType:
    return loaded_app(SERVICE)


def decorated(function: str) -> dict[str, dict[str, Any]]:
    """Decorator -> its plain arguments, of one of the app's functions."""
    (found,) = (
        one
        for one in ast.parse(SERVICE.read_text()).body
        if isinstance(one, ast.FunctionDef) and one.name == function
    )
    said = {}
    for decorator in found.decorator_list:
        assert isinstance(decorator, ast.Call)
        said[ast.unparse(decorator.func)] = {
            str(word.arg): word.value.value
            if isinstance(word.value, ast.Constant)
            else ast.unparse(word.value)
            for word in decorator.keywords
        }
    return said


class Queue:
    """A store of jobs that says what it is told to."""

    def __init__(self, **counts: int) -> None:
        self.now = counts

    def counts(self) -> Mapping[tuple[str, str], int]:
        return {("dynamics", status): count for status, count in self.now.items()}


def test_the_address_is_the_one_that_the_app_calls(app: ModuleType) -> None:
    assert isinstance(app.generate_dynamics, modal.Function)
    assert app.LABEL == f"{app.app.name}-generate-dynamics" == "sunriza-dynamics-generate-dynamics"
    served = decorated("generate_dynamics")
    assert "modal.web_server" in served
    assert served["app.function"]["min_containers"] == 0
    assert "gpu" not in served["app.function"]
    work = decorated("work")["app.function"]
    assert work["max_containers"] == 1
    assert work["retries"] == 0
    assert work["min_containers"] == 0
    assert work["gpu"] == "GPU"


@pytest.mark.parametrize("file", [APP, SERVICE])
def test_a_container_finds_the_image_of_both_apps(file: Path, tmp_path: Path) -> None:
    """Modal puts the app's file and what the image adds below /root, and nothing else of ours."""
    for name in (file.name, "sunriza_image.py"):
        shutil.copy(FOLDER / name, tmp_path)
    told = subprocess.run(
        [sys.executable, "-c", f"import {file.stem} as app; print(app.app.name, app.MODELS)"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "MODAL_IS_REMOTE": "1"},
        cwd="/",
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == [loaded_app(file).app.name, "/models"]
    assert "add_local_python_source" in (FOLDER / "sunriza_image.py").read_text()


def test_a_worker_is_started_when_jobs_wait_and_not_twice(app: ModuleType) -> None:
    queue, started, stop = Queue(done=3), [], threading.Event()
    thread = threading.Thread(
        target=app.watch,
        args=(queue, lambda: started.append(1)),
        kwargs={"look_s": 0.01, "again_s": 60.0, "stop": stop},
    )
    thread.start()
    time.sleep(0.1)
    assert not started
    for waiting, wanted in ((2, 1), (0, 1), (1, 2)):
        queue.now = {"queued": waiting}
        wait_for(lambda wanted=wanted: len(started) >= wanted)  # type: ignore[misc]
        time.sleep(0.1)
        assert len(started) == wanted
    stop.set()
    thread.join(60)


def test_a_start_without_effect_is_repeated(app: ModuleType) -> None:
    started, stop = [], threading.Event()

    def start() -> None:
        started.append(1)
        if len(started) == 3:
            stop.set()

    app.watch(Queue(queued=1), start, look_s=0.01, again_s=0.05, stop=stop)
    assert len(started) == 3


# What an earlier test of this process has left ignored or blocked is inherited.
AT_WORK = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def test_the_gpu_is_given_back_when_all_jobs_have_ended(app: ModuleType, tmp_path: Path) -> None:
    queue, at_work = Queue(running=1), tmp_path / "at-work"

    def end() -> None:
        wait_for(at_work.exists)
        queue.now = {"done": 1}

    threading.Thread(target=end, daemon=True).start()
    begin = time.monotonic()
    command = [sys.executable, "-c", AT_WORK, str(at_work)]
    assert app.drain(queue, command, look_s=0.05, idle_s=0.2) == -signal.SIGTERM
    assert time.monotonic() - begin < 30


def test_a_dispatcher_that_ends_by_itself_ends_the_work(app: ModuleType) -> None:
    code = app.drain(Queue(queued=1), [sys.executable, "-c", "raise SystemExit(3)"], look_s=0.05)
    assert code == 3
