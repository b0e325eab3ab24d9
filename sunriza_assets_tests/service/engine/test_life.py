"""Life and death of the engine process: start, restart, kill, orphans, costs that survive."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sunriza_assets.costs.calls import CALLS_FOLDER, read_calls
from sunriza_assets.errors import EngineError, StoreError
from sunriza_assets.service import engine_socket as engine_socket_module
from sunriza_assets.service.engine_socket import EngineSocket
from sunriza_assets.service.engine_wire import engine_socket, make_private_folder
from sunriza_assets_tests.service.engine.conftest import (
    RENDER,
    RunningEngine,
    calling,
    ready,
    start_engine,
)


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[list[RunningEngine]]:
    """Engine processes of a test, killed at its end."""
    running: list[RunningEngine] = []
    yield running
    for one in running:
        one.process.kill()
        one.process.wait()


def without_models(home: Path, tmp_path: Path) -> RunningEngine:
    """An engine process that cannot load models; it listens all the same."""
    empty = tmp_path / "no_models"
    empty.mkdir(exist_ok=True)
    return start_engine(home, empty)


async def problem_of(client: EngineSocket) -> str:
    """What keeps an engine from being ready."""
    async with asyncio.timeout(60):
        while (facts := await client.facts()).starting:
            await asyncio.sleep(0.05)
    return facts.problem or ""


def test_who_is_not_there_is_unreachable(tmp_path: Path) -> None:
    async def ask() -> None:
        client = EngineSocket(engine_socket(tmp_path))
        assert not (await client.facts()).ready
        with pytest.raises(EngineError) as refusal:
            await client.trim(tmp_path / "a", 0, 1, tmp_path / "b")
        assert refusal.value.code == "engine.unreachable"
        assert str(tmp_path) not in refusal.value.public

    asyncio.run(ask())


def test_a_frozen_one_is_told_from_one_that_loads(
    tmp_path: Path, engines: list[RunningEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_FACTS_S", "_SILENCE_S"):
        monkeypatch.setattr(engine_socket_module, name, 0.4)
    engine = without_models(tmp_path / "home", tmp_path)
    engines.append(engine)

    async def ask(client: EngineSocket) -> None:
        begun = await client.facts()
        assert begun.starting and "being started" in (begun.problem or "")
        missing = await problem_of(client)
        engine.process.send_signal(signal.SIGSTOP)
        silent = await problem_of(client)
        found = re.fullmatch(r"The engine has not answered for (\d+) s\.", silent)
        assert found is not None, silent
        await asyncio.sleep(1.1)
        later = await problem_of(client)
        assert int(re.sub(r"\D", "", later)) > int(found[1])
        engine.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(60):
            while (await client.facts()).problem != missing:
                await asyncio.sleep(0.05)

    calling(engine, ask)


def test_a_home_with_a_long_path_has_its_socket_elsewhere(
    tmp_path: Path, engines: list[RunningEngine], caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / ("long" * 30)
    socket = engine_socket(home)
    assert len(os.fsencode(socket)) <= 103
    assert str(socket) in caplog.text
    engine = without_models(home, tmp_path)
    engines.append(engine)
    assert "model" in calling(engine, problem_of).lower()
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(EngineError) as refusal:
        calling(engine, lambda client: client.trim(home, 0, 1, home))
    assert refusal.value.code == "engine.warming"
    engine.process.terminate()
    assert engine.process.wait(30) == 0
    assert not socket.exists()


def test_a_folder_that_others_may_enter_holds_no_socket(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("open", "link"):
        with pytest.raises(StoreError):
            make_private_folder(tmp_path / name)


def test_one_engine_follows_another_and_ends_with_its_parent(
    tmp_path: Path, engines: list[RunningEngine]
) -> None:
    home = tmp_path / "home"
    first = without_models(home, tmp_path)
    engines.append(first)
    calling(first, problem_of)
    second = without_models(home, tmp_path)  # waits for the first one's end
    engines.append(second)
    time.sleep(0.3)
    assert second.process.poll() is None
    assert engine_socket(home).exists()  # the killed one leaves it to the second
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    calling(second, problem_of)
    second.process.kill()
    second.process.wait()
    code = (
        "import subprocess, sys, time\n"
        "command = [sys.executable, '-m', 'sunriza_assets.service.engine_process']\n"
        "child = subprocess.Popen(command)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "SUNRIZA_HOME": str(home), "SUNRIZA_MODELS": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    calling(first, problem_of)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


def test_it_loads_no_dagster() -> None:
    code = (
        "import sys\n"
        "from sunriza_assets.service import engine_process\n"
        "from sunriza_assets.service.engine import drawing, inputs\n"
        "from sunriza_assets.studio.engines.mesh import engine\n"
        "print(sorted({'dagster', 'torch', 'pandas', 'pyarrow', 'fastapi'} & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout == "[]\n"


def test_it_outlives_a_killed_fork_server(engine: RunningEngine, portrait: Path) -> None:
    (server,) = (
        child.pid
        for child in psutil.Process(engine.process.pid).children()
        if "sunriza_assets.studio.media.forking" in child.cmdline()
    )
    assert "Threads:\t1\n" in Path(f"/proc/{server}/status").read_text()  # else no fork is safe
    os.kill(server, signal.SIGKILL)
    wish = RENDER | {"width": 513}
    (made,) = calling(engine, lambda client: client.render(portrait, ["sad"], **wish))
    assert made.path.exists()


@pytest.mark.slow
def test_a_kill_loses_no_file_and_a_minute_of_costs_at_most(
    models_root: Path, portrait: Path, tmp_path: Path, engines: list[RunningEngine]
) -> None:
    home = tmp_path / "home"

    async def kill_between(engine: RunningEngine, client: EngineSocket) -> None:
        await client.render(portrait, ["happy"], **RENDER)
        engine.process.kill()
        engine.process.wait()
        with pytest.raises(EngineError) as refusal:
            await client.render(portrait, ["sad"], **RENDER)
        assert refusal.value.code == "engine.unreachable"
        again = start_engine(home, models_root)
        engines.append(again)
        await ready(again)
        (cached,) = await client.render(portrait, ["happy"], **RENDER)
        assert cached.cached
        await client.close()
        again.process.terminate()
        assert again.process.wait(60) == 0

    engine = start_engine(home, models_root)
    engines.append(engine)
    asyncio.run(ready(engine))

    async def run() -> None:
        await kill_between(engine, engine.connect())

    asyncio.run(run())
    events = list(read_calls(home / "reports" / CALLS_FOLDER, {})[0])
    assert {event.metadata["owner"] for event in events} == {None, "u"}
    command = "from sunriza_assets.cli import main; main()"
    told = subprocess.run(
        [sys.executable, "-c", command, "report", "costs", "--by", "kind", "--json"],
        # Another test's fixture may have set the home of a Dagster instance with runs of its own.
        env={**os.environ, "SUNRIZA_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")},
        capture_output=True,
        check=True,
    )
    [row] = json.loads(told.stdout)["rows"]
    assert (row["kind"], row["calls"]) == ("render", sum(e.metadata["calls"] for e in events))
    assert row["cost"] == pytest.approx(sum(event.metadata["cost"] for event in events))
