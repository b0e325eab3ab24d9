"""Time of a render on this machine when all, some or none of its inputs are new.

Each command is a process of its own, as a person runs it, so loading counts. A quiet machine is
wanted: the ratios of wall seconds are the point, CPU seconds are reported as well.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

__all__ = ["machine", "measure"]

SIZE: Final = (480, 720)
"""Width and height of portrait and clip, pixels."""
SECONDS: Final = Fraction(10)
AVATAR: Final = "bench"
_RERENDER: Final = ("--set", "driving_multiplier=1.2")
_COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "cold": (),
    "rerender": _RERENDER,
    "same": _RERENDER,
}


@dataclass(frozen=True, slots=True)
class _Measurement:
    """Time of one command, and of each asset in it."""

    wall_s: float
    cpu_s: float
    assets: dict[str, Any]

    @property
    def assets_s(self) -> float:
        """Seconds of the assets that were made, without loading."""
        return sum(seconds for seconds in self.assets.values() if not isinstance(seconds, str))

    def to_dict(self) -> dict[str, Any]:
        return {"wall_s": self.wall_s, "cpu_s": self.cpu_s, "assets": self.assets}


def measure(models: Path) -> dict[str, Any]:
    """Render the sample in an empty home, again with another gain, and the same once more.

    Args:
        models: the models folder.

    Returns:
        machine; cold, rerender and same, each with wall_s, cpu_s (the process and its children,
        from its start) and what each asset took; ratios of rerender and same to cold: of whole
        commands, and of the assets alone, which is what a process sees that stays warm.

    Raises:
        ModelError: the face models have not been pulled.
    """
    with TemporaryDirectory(prefix="sunriza-bench-") as name:
        folder = Path(name)
        portrait, clip = _sample(folder, models)
        environment = {
            **{key: name for key, name in os.environ.items() if not key.startswith("SUNRIZA_")},
            "SUNRIZA_HOME": str(folder / "home"),
            "SUNRIZA_MODELS": str(models.absolute()),
        }
        environment.pop("DAGSTER_HOME", None)
        add = ["avatar", "add", AVATAR, "--image", str(portrait), "--video", str(clip)]
        _run(add, environment)
        measured = {
            name: _run(["render", AVATAR, *settings, "--json"], environment)
            for name, settings in _COMMANDS.items()
        }
    cold = measured["cold"]
    return {
        "machine": machine(),
        "clip": f"{SECONDS} s at {SIZE[0]}x{SIZE[1]}",
        **{name: one.to_dict() for name, one in measured.items()},
        "ratios": {
            name: {
                "wall": round(measured[name].wall_s / cold.wall_s, 3),
                "cpu": round(measured[name].cpu_s / cold.cpu_s, 3),
                "assets": round(measured[name].assets_s / cold.assets_s, 3),
            }
            for name in ("rerender", "same")
        },
    }


def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> _Measurement:
    """Run `sunriza` to its end and measure it from outside."""
    command = [sys.executable, "-c", "from sunriza_assets.cli import main; main()", *arguments]
    before, begin = os.times(), time.monotonic()
    done = subprocess.run(
        command, env=dict(environment), check=True, stdout=subprocess.PIPE, text=True
    )
    wall_s, after = time.monotonic() - begin, os.times()
    cpu_s = after.children_user - before.children_user
    cpu_s += after.children_system - before.children_system
    return _Measurement(round(wall_s, 2), round(cpu_s, 2), _assets(done.stdout))


def _assets(output: str) -> dict[str, Any]:
    """Seconds of each asset, from the command's output."""
    try:
        made = json.loads(output)["avatars"][AVATAR]["assets"]
    except (ValueError, KeyError):  # a command that renders nothing
        return {}
    return {
        name: asset["cache"] if asset["cache"] == "unchanged" else asset["seconds"]
        for name, asset in made.items()
    }


def _sample(folder: Path, models: Path) -> tuple[Path, Path]:
    """The sample portrait and a performance of ten seconds, set into an upright picture."""
    import cv2
    import numpy as np

    from sunriza_assets.studio.contracts.engine import Image
    from sunriza_assets.studio.media.encode import VideoWriter
    from sunriza_assets.studio.media.frames import read_frames
    from sunriza_assets.studio.media.picture import read_picture, write_picture
    from sunriza_assets.studio.sample.clip import write_sample
    from sunriza_assets.studio.sample.performance import perform

    width, height = SIZE
    above = (height - width) // 2

    def upright(picture: Image) -> Image:
        small = cv2.resize(picture, (width, width), interpolation=cv2.INTER_AREA)
        whole = cv2.copyMakeBorder(small, above, above, 0, 0, cv2.BORDER_REPLICATE)
        return np.asarray(whole, dtype=np.uint8)

    sample = write_sample(folder / "sample", models, performance=perform(seconds=SECONDS))
    portrait, clip = folder / "portrait.jpg", folder / "clip.mp4"
    write_picture(upright(read_picture(sample.portrait)), portrait)
    with VideoWriter(clip, rate=sample.truth.rate, encoder="libx264") as writer:
        for frame in read_frames(sample.clip):
            writer.write(upright(frame))
    return portrait, clip


def machine() -> str:
    """Processor, cores and how busy they were."""
    from sunriza_assets.cores import core_count
    from sunriza_assets.costs.devices import cpu

    return f"{cpu().name}, {core_count()} cores, load {os.getloadavg()[0]:.1f}"
