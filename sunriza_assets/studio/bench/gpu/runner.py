"""Runs the steps one by one, each in a child process, and keeps a report that survives a kill.

A CUDA call that hangs cannot be interrupted, and a context that has failed cannot be used again:
so each step is a process of its own, the leader of its group, which is killed at the step's limit.
The report is written beside and renamed before the next step begins. A second call does what is
missing: steps that are done, have failed or hung stay as they are.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sunriza_assets.atomic import lock, make_folder, replacing, store_errors
from sunriza_assets.errors import ParameterError, StoreError, did_you_mean
from sunriza_assets.studio.bench.gpu.plan import ENVIRONMENT, STEPS, TOTAL_S, Settings, Step

__all__ = ["ASKED", "NO_CUDA", "NO_TIME", "measure_gpu"]

NO_CUDA: Final = "no CUDA device"
NO_TIME: Final = "no time was left: call again"
ASKED: Final = "as asked"
_FINAL: Final = frozenset({"done", "failed", "timeout"})
"""States that another call leaves as they are."""
_LEAST_S: Final = 10.0
"""A step is not begun with less time, unless its own limit is shorter."""
_REAP_S: Final = 10.0
"""How long a killed child is waited for; one inside the driver may never end."""
_LOG_CHARACTERS: Final = 3000
_PACKAGE_ROOT: Final = Path(__file__).resolve().parents[4]

Report = dict[str, Any]


def measure_gpu(
    path: Path,
    settings: Settings,
    *,
    steps: Sequence[Step] = STEPS,
    total_s: float = TOTAL_S,
    skip: Collection[str] = (),
    again: Collection[str] = (),
    report: Callable[[str], None] = lambda line: None,
) -> Report:
    """Do what is missing in a report.

    Args:
        path: the report, a JSON file; made where missing, and written after each step.
        settings: what decides the figures.
        steps: what is asked, in order.
        total_s: seconds for this call; what does not fit is left for the next.
        skip: names of steps to leave out this time.
        again: names of steps to do once more.
        report: told what is being done.

    Returns:
        The report: `settings`, `started` and `written` (ISO 8601), `complete`, and `steps`: name ->
        `state` (done, failed, timeout, skipped), `seconds`, `result` as far as there is one,
        `reason` where it is not done, `log` where it failed.

    Raises:
        ParameterError: a name that no step has.
        StoreError: `path` cannot be written, is no report, is one of other settings, or is being
            worked on by somebody else.
    """
    names = [step.name for step in steps]
    for name in (*skip, *again):
        if name not in names:
            raise ParameterError(
                f"There is no step {name!r}",
                remedy=f"{did_you_mean(name, names)}{', '.join(names)}",
            )
    make_folder(path.parent)
    with lock(path.with_name(f".{path.name}.lock"), patience_s=1.0):
        found = _opened(path, settings)
        for name in again:
            found["steps"].pop(name, None)
        missing = [step for step in steps if _is_missing(found["steps"].get(step.name))]
        _Run(path, found, settings, [step.name for step in steps], report).do(
            missing, total_s, frozenset(skip)
        )
        return found


class _Run:
    """One call."""

    def __init__(
        self,
        path: Path,
        found: Report,
        settings: Settings,
        names: Sequence[str],
        report: Callable[[str], None],
    ) -> None:
        self._path, self._found, self._settings = path, found, settings
        self._names, self._report = names, report

    def do(self, missing: Sequence[Step], total_s: float, skip: Collection[str]) -> None:
        """Do these steps and keep each."""
        end = time.monotonic() + total_s
        for step in missing:
            left = end - time.monotonic()
            reason = self._why_not(step, left, skip)
            if reason is not None:
                self._keep(step, {"state": "skipped", "reason": reason})
                continue
            limit = min(step.limit_s, left)
            self._report(f"{step.name}: at most {limit:.0f} s")
            outcome = _done(step, self._settings, limit)
            if outcome["state"] == "timeout" and limit < step.limit_s:
                outcome |= {"state": "skipped", "reason": NO_TIME}
            self._keep(step, outcome)

    def _why_not(self, step: Step, left: float, skip: Collection[str]) -> str | None:
        if step.name in skip:
            return ASKED
        if step.needs_cuda and not self._has_cuda():
            return NO_CUDA
        return NO_TIME if left < min(_LEAST_S, step.limit_s) else None

    def _has_cuda(self) -> bool:
        environment = self._found["steps"].get(ENVIRONMENT.name, {})
        return bool(environment.get("result", {}).get("cuda"))

    def _keep(self, step: Step, outcome: Report) -> None:
        told = outcome["state"]
        if told != "done":
            told += f" ({outcome['reason']})"
        self._report(f"{step.name}: {told}")
        kept = self._found["steps"] | {step.name: outcome}
        self._found["steps"] = {name: kept[name] for name in self._names if name in kept}
        self._found["complete"] = not any(
            _is_missing(self._found["steps"].get(name)) for name in self._names
        )
        self._found["written"] = _now()
        with replacing(self._path) as file:
            file.write(json.dumps(self._found, indent=2, allow_nan=False).encode())


def _opened(path: Path, settings: Settings) -> Report:
    """The report that is there, or a new one."""
    if not path.exists():
        return {"settings": settings.to_dict(), "started": _now(), "complete": False, "steps": {}}
    with store_errors("read", path):
        text = path.read_bytes()
    try:
        found = json.loads(text)
        said, steps = found["settings"], found["steps"]
        broken = not all(isinstance(each["state"], str) for each in steps.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        broken = True
    if broken:
        raise StoreError("This is no report of a GPU", where=path, remedy="Name another file.")
    if said != settings.to_dict():
        raise StoreError(
            f"This report is one of other settings: {said}",
            where=path,
            remedy="Name another file, or repeat those settings.",
            code="other_settings",
        )
    return dict(found)


def _is_missing(outcome: Report | None) -> bool:
    """Whether a step is still to be done."""
    if outcome is None:
        return True
    return outcome["state"] not in _FINAL and outcome.get("reason") != NO_CUDA


def _done(step: Step, settings: Settings, limit_s: float) -> Report:
    """Do one step in a child process."""
    with TemporaryDirectory(prefix="sunriza-bench-", ignore_cleanup_errors=True) as name:
        result, log = Path(name) / "result.json", Path(name) / "log"
        request = {
            "target": step.target,
            "argument": step.argument,
            "settings": settings.to_dict(),
            "result": str(result),
        }
        begin = time.monotonic()
        with log.open("wb") as words:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "sunriza_assets.studio.bench.gpu.child"],
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(_PACKAGE_ROOT), "TMPDIR": name},
                start_new_session=True,
            )
            code = _awaited(child, json.dumps(request).encode() + b"\n", limit_s)
        outcome: Report = {"state": "done", "seconds": round(time.monotonic() - begin, 2)}
        if result.exists():
            outcome["result"] = json.loads(result.read_bytes())
        if code != 0:
            outcome |= _failed(code, limit_s)
            outcome["log"] = log.read_text(errors="replace")[-_LOG_CHARACTERS:]
        return outcome


def _awaited(child: "subprocess.Popen[bytes]", request: bytes, limit_s: float) -> int | None:
    """The exit code of a child; None when it had to be ended. Nothing of its group is left."""
    stdin = child.stdin
    try:
        if stdin is not None:
            with suppress(BrokenPipeError):  # it has ended already, and its code tells why
                stdin.write(request)
                stdin.flush()
        return child.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_REAP_S)
        if stdin is not None:
            with suppress(BrokenPipeError):
                stdin.close()


def _failed(code: int | None, limit_s: float) -> Report:
    """State and reason of a child that did not end well."""
    if code is None:
        return {"state": "timeout", "reason": f"ended after {limit_s:.0f} s"}
    if code < 0:
        return {"state": "failed", "reason": f"killed by {signal.Signals(-code).name}"}
    return {"state": "failed", "reason": f"exit code {code}"}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
