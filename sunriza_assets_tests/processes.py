"""Watching other processes come and go."""

import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

__all__ = ["ask_module", "free_port", "has_ended", "wait_for"]

_PORTS = range(20_000, 32_000)


def ask_module(name: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run `python -m name REQUEST` in a process of its own; the JSON object that it answers."""
    told = subprocess.run(
        [sys.executable, "-m", name, json.dumps(request)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    answer: Mapping[str, Any] = json.loads(told.stdout)
    return answer


def free_port() -> int:
    """A port that nobody listens on.

    It is below those that the kernel lends to connections, and drawn at random: neither a
    connection nor a test beside this one is likely to take it before its server does.
    """
    for _ in range(100):
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def has_ended(process: psutil.Process) -> bool:
    """Whether it is over, even if nobody has asked yet how it ended."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look again and again until something is so; fail if it never is."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
