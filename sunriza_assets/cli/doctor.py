"""`sunriza doctor`: what works here, what is missing, and what to do about it."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import click

from sunriza_assets.cli.options import as_json, print_json
from sunriza_assets.errors import ModelError, SunrizaError

__all__ = ["doctor"]

MIN_FREE_BYTES: Final = 2_000_000_000

_ONE_BUILD: Final = (
    "make install; outside a checkout: pip uninstall onnxruntime onnxruntime-gpu, then "
    "pip install 'sunriza-assets[cpu]', or [gpu] for NVIDIA"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one diagnostic."""

    name: str
    """What was examined."""
    state: Literal["ok", "optional", "missing"]
    """optional: absent, and everything works without it."""
    detail: str
    """What was found."""
    remedy: str = ""
    """What to do, when there is something to do."""


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Look at Python, ffmpeg, codecs, GPU, onnxruntime, models, weights and stores.

    Exit code 1 when something is missing that rendering needs.
    """
    findings = [finding for diagnostic in DIAGNOSTICS for finding in diagnostic()]
    healthy = all(finding.state != "missing" for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("", "what", "found", "what to do")
        marks = {"ok": "[green]ok[/]", "optional": "[yellow]--[/]", "missing": "[red]no[/]"}
        for finding in findings:
            table.add_row(marks[finding.state], finding.name, finding.detail, finding.remedy)
        Console().print(table)
    if not healthy:
        raise click.exceptions.Exit(1)


def _python() -> Iterator[Finding]:
    supported = (3, 11) <= sys.version_info < (3, 13)
    yield Finding(
        "python",
        "ok" if supported else "missing",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "" if supported else "Use Python 3.11 or 3.12.",
    )
    for name in ("dagster", "numpy", "av", "opencv-python-headless"):
        yield Finding(name, "ok", importlib.metadata.version(name))


def _media() -> Iterator[Finding]:
    import av
    import imageio_ffmpeg

    encoders = [name for name in ("libx264", "h264_nvenc") if _has_codec(av, name)]
    have = "libx264" in encoders
    yield Finding(
        "codecs",
        "ok" if have else "missing",
        f"PyAV {av.__version__}, encoders: {', '.join(encoders) or 'none for H.264'}",
        "" if have else "Reinstall PyAV from its wheel: pip install --force-reinstall av",
    )
    try:
        binary = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        yield Finding(
            "ffmpeg", "missing", str(error), "pip install --force-reinstall imageio-ffmpeg"
        )
        return
    version = subprocess.run(
        [binary, "-version"], capture_output=True, text=True, timeout=20, check=False
    )
    yield Finding("ffmpeg", "ok", version.stdout.split("\n")[0][:80])


def _has_codec(av: object, name: str) -> bool:
    from av.codec import Codec

    try:
        Codec(name, "w")
    except ValueError:
        return False
    return True


def _gpu() -> Iterator[Finding]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        yield Finding("gpu", "optional", "no NVIDIA GPU; the mesh engine works on the CPU", "")
    else:
        query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        output = subprocess.run(
            [tool, *query], capture_output=True, text=True, timeout=20, check=False
        )
        found = output.stdout.strip() or output.stderr.strip()
        yield Finding("gpu", "ok" if output.returncode == 0 else "optional", found)


def _onnxruntime() -> Iterator[Finding]:
    """One of its builds is there, not both, and it is the one for this machine."""
    builds = {name: _version_of(name) for name in ("onnxruntime", "onnxruntime-gpu")}
    found = ", ".join(f"{name} {version}" for name, version in builds.items() if version)
    if all(builds.values()):
        yield Finding("onnxruntime", "missing", f"two builds in one folder: {found}", _ONE_BUILD)
        return
    try:
        from sunriza_assets.studio.face.runtime import CPU, CUDA, has_nvidia_gpu, usable_provider
    except ModelError as error:
        yield Finding("onnxruntime", "missing", error.what, error.remedy or "")
        return
    provider, problem = usable_provider()
    fallen_back = has_nvidia_gpu() and provider == CPU
    remedy = f"{CUDA} does not load: {problem}"
    if builds["onnxruntime-gpu"] is None and sys.platform == "linux":
        remedy = _ONE_BUILD
    yield Finding(
        "onnxruntime",
        "optional" if fallen_back else "ok",
        f"{found or 'of unknown origin'}, face models run on {provider}",
        remedy if fallen_back else "",
    )


def _precision() -> Iterator[Finding]:
    """LivePortrait on a CPU: in bfloat16 a frame takes half the time, given the instructions."""
    import torch

    from sunriza_assets.studio.engines.liveportrait.device import precision_note

    note = precision_note(torch.device("cpu"), "bfloat16")
    yield Finding(
        "bfloat16",
        "ok" if note is None else "optional",
        "the CPU has the instructions" if note is None else note,
    )


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _models() -> Iterator[Finding]:
    from sunriza_assets.cli.models import model_rows

    for row in model_rows():
        needed = row["family"] == "face"
        command = f"sunriza models pull {row['family']}"
        yield Finding(
            f"{row['family']}/{row['name']}",
            "ok" if row["present"] else ("missing" if needed else "optional"),
            row["licence"] if row["present"] else "not there",
            "" if row["present"] else command,
        )


def _stores() -> Iterator[Finding]:
    from resources.home import Home
    from resources.stores import describe_stores

    home = Home.from_environment()
    try:
        output = describe_stores()
    except SunrizaError as error:
        yield Finding("store", "missing", error.what, error.remedy or "")
    else:
        yield Finding("store", "ok", output)
    folder = home.root
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK)
    fits = writable and free >= MIN_FREE_BYTES
    yield Finding(
        "home",
        "ok" if fits else "missing",
        f"{home.root}, {free / 1e9:.1f} GB free{'' if writable else ', not writable'}",
        "" if fits else "Make room, or set SUNRIZA_HOME to another folder.",
    )
    yield from _rights(home.root)


def _marks() -> Iterator[Finding]:
    """Whether published files are marked as synthetic, and with which key."""
    from resources.marking import current_marker, installation_roots
    from resources.settings import current_settings
    from sunriza_assets.studio.marks.mark import is_available

    if current_settings().marks == "off":
        yield Finding("marks", "optional", "off: published files do not say they are synthetic",
                      "Unset SUNRIZA_MARKS.")  # fmt: skip
        return
    if not is_available():
        yield Finding("marks", "optional", "c2pa-python is not installed: published files do not"
                      " say they are synthetic", "pip install 'c2pa-python>=0.38,<0.39'; it has"
                      " wheels for Linux, macOS and Windows")  # fmt: skip
        return
    try:
        marker = current_marker() if installation_roots() else None
    except SunrizaError as error:
        yield Finding("marks", "missing", error.message, error.remedy or "")
        return
    yield Finding(
        "marks",
        "ok",
        f"C2PA {_version_of('c2pa-python')}, "
        + (
            "a key will be made with the first publication"
            if marker is None
            else f"{marker.key.name}, valid until {marker.key.expires:%Y-%m-%d}"
        ),
    )


def _databases() -> Iterator[Finding]:
    from resources.home import Home
    from resources.settings import current_settings
    from sunriza_assets.platform.storage.databases import MAIN, damaged_databases

    home = Home.from_environment()
    folder = current_settings().dagster_home or home.dagster
    main = {folder / name for name in MAIN}
    damaged = list(damaged_databases(folder, thoroughly=True))
    for path, problem in damaged:
        if path in main:
            remedy = f"Stop Dagster; bring back a backup, or move {folder / 'history'} and "
            remedy += f"{folder / 'schedules'} away to begin a new history of runs."
            yield Finding("database", "missing", f"{path}: {problem}", remedy)
        else:
            yield Finding(
                "database", "optional", f"{path}, the log of one run: {problem}", f"rm {path}"
            )
    if not main & {path for path, _ in damaged}:
        there = sum(path.exists() for path in main)
        output = f"{there} files in {folder}, whole" if there else f"none in {folder} yet"
        yield Finding("database", "ok", output)


def _rights(root: Path) -> Iterator[Finding]:
    """Documents and portraits are personal: a home that everybody may enter is worth a word.

    What is inside a closed folder is out of reach, whatever its own mode.
    """
    mode = root.stat().st_mode if root.exists() else 0
    if mode & 0o007:
        open_to = "writable" if mode & 0o002 else "readable"
        yield Finding(
            "rights",
            "optional",
            f"{root} is {open_to} by everybody on this machine",
            f"chmod -R o= {root}; or go= when its group has no business there",
        )
    elif root.exists():
        yield Finding("rights", "ok", f"{root} is closed to others")


DIAGNOSTICS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (
    _python,
    _media,
    _gpu,
    _precision,
    _onnxruntime,
    _models,
    _stores,
    _marks,
    _databases,
)
