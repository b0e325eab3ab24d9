"""`sunriza serve`: its processes come, come back, and go, however they are ended."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sunriza_assets_tests.processes import has_ended, wait_for
from sunriza_assets_tests.service.serving_processes import CLI, Serving, begin_serving


@pytest.fixture
def begin(
    tmp_path: Path, models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Serving]]:
    """Starts `sunriza serve` with these arguments on a home of its own."""
    begun: list[Serving] = []
    for name in [name for name in os.environ if name.startswith("SUNRIZA_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SUNRIZA_MODELS", str(models_root))

    def start(*arguments: str) -> Serving:
        log = tmp_path / f"{len(begun)}.log"
        begun.append(begin_serving(arguments, log))
        return begun[-1]

    yield start
    for serving in begun:
        serving.end()


@pytest.mark.slow
def test_dead_children_come_back_and_a_signal_ends_all(begin: Callable[..., Serving]) -> None:
    serving = begin("--no-ui")
    serving.wait_until_ready()
    for module in ("api_process", "dispatcher_process", "engine_process"):
        victim = serving.find(module)
        assert victim is not None
        victim.kill()
        wait_for(partial(has_ended, victim))
        wait_for(lambda module=module: serving.find(module) is not None)  # type: ignore[misc]
        wait_for(serving.is_ready, 120)
    second = subprocess.run(
        [*CLI, "serve", "--no-ui", "--port", "0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 2
    assert "Another `sunriza serve` runs on this home" in second.stderr
    assert second.stderr.count("\n") == 1

    family = serving.processes()
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(60) == 0
    assert all(has_ended(one) for one in family)


@pytest.mark.slow
def test_nothing_is_left_when_the_supervisor_is_killed(begin: Callable[..., Serving]) -> None:
    serving = begin()
    serving.wait_until_ready()
    for module in ("dagster._daemon", "platform.ui", "order_worker"):
        wait_for(lambda module=module: serving.find(module) is not None)  # type: ignore[misc]
    family = serving.processes()
    serving.process.kill()
    wait_for(lambda: all(has_ended(one) for one in family), 90)
    again = begin("--no-ui")
    again.wait_until_ready()


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = subprocess.run(
            [*CLI, "serve", "--no-ui", "--port", str(port)],
            env={**os.environ, "SUNRIZA_HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert told.returncode == 2
    assert told.stderr.startswith(f"error: Port {port} of 127.0.0.1 cannot be used")
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"SUNRIZA_ORDERS_URL": "elsewhere"}, "SUNRIZA_ORDERS_URL is no address of a Postgres"),
        ({"SUNRIZA_HOME": "{file}"}, "Cannot make this: File exists"),
        ({"SUNRIZA_HOME": "{damaged}"}, "The database of jobs is damaged"),
    ],
)
def test_what_keeps_it_from_starting_is_one_clear_line(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "damaged" / "service").mkdir(parents=True)
    (tmp_path / "damaged" / "service" / "service.db").write_text("no database " * 100)
    places = {name: str(tmp_path / name) for name in ("file", "damaged")}
    given = {name: value.format_map(places) for name, value in settings.items()}
    told = subprocess.run(
        [*CLI, "serve", "--no-ui", "--port", "0"],
        env={**os.environ, "SUNRIZA_HOME": str(tmp_path), **given},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 2
    assert told.stderr.startswith(f"error: {said}")
    assert told.stderr.count("\n") == 1
    assert told.stdout == ""


def test_open_mode_is_for_loopback_alone(tmp_path: Path) -> None:
    told = subprocess.run(
        [*CLI, "serve", "--no-ui", "--host", "192.0.2.1", "--port", "0"],
        env={**os.environ, "SUNRIZA_HOME": str(tmp_path), "SUNRIZA_AUTH": "off"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 2
    assert "SUNRIZA_AUTH=off" in told.stderr


def test_keys_are_added_listed_and_revoked(tmp_path: Path) -> None:
    def keys(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*CLI, "keys", *arguments],
            env={**os.environ, "SUNRIZA_HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    made = json.loads(keys("add", "ann", "--scope", "jobs", "--name", "my page", "--json").stdout)
    assert made["key"].startswith(f"snz_{made['id']}_")
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert (row["owner"], row["name"], row["scopes"]) == ("ann", "my page", ["jobs"])
    assert row["revoked"] is None
    assert made["key"] not in keys("list").stdout
    assert keys("revoke", made["id"]).returncode == 0
    assert keys("revoke", made["id"]).returncode == 1
    (row,) = json.loads(keys("list", "--owner", "ann", "--json").stdout)["keys"]
    assert row["revoked"]
