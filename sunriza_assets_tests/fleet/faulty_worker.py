"""A worker as `sunriza worker` starts it, but with faults, and with a diary of what it does.

Which avatar meets which fault is decided by hashes alone, so a test knows it beforehand. A fault
strikes once: whoever comes to the same place again gets through.

    python -m sunriza_assets_tests.fleet.faulty_worker gpu --name one

SUNRIZA_TEST_DIARY names the folder for diary and faults.
"""

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

__all__ = ["ASSETS", "SHARE", "diary", "fault_of", "main"]

SHARE = 0.03
"""Share of all steps that meet a fault."""
ASSETS = ("hero_image", "hero_video", "trimmed_video", "motion_template", "idle_video", "atlas")
"""Assets whose storing may meet one."""

Fault = Literal["disk", "crash"]


def fault_of(avatar_id: str, asset: str) -> Fault | None:
    """What happens when this asset of this avatar is stored for the first time."""
    digest = hashlib.sha256(f"faults:{avatar_id}:{asset}".encode()).digest()
    if asset not in ASSETS or int.from_bytes(digest[:4]) / 2**32 >= SHARE:
        return None
    return "crash" if digest[4] % 2 else "disk"


def diary(folder: Path, kind: str) -> Iterator[list[str]]:
    """What workers have written down of one kind, a list of words per entry."""
    file = folder / kind
    if file.exists():
        yield from (line.split() for line in file.read_text().splitlines())


def main() -> None:
    """Install the faults, then be a worker."""
    folder = Path(os.environ["SUNRIZA_TEST_DIARY"])
    _fail_sometimes(folder)
    _write_down_extractions(folder)
    _write_down_loads(folder)
    from sunriza_assets.cli.worker import worker

    worker()


def _note(folder: Path, kind: str, *words: object) -> None:
    line = " ".join(map(str, words)) + "\n"
    descriptor = os.open(folder / kind, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line.encode())  # one short append is never torn
    finally:
        os.close(descriptor)


def _first_time(marker: Path) -> bool:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _fail_sometimes(folder: Path) -> None:
    from resources.storage.local import LocalStorage
    from resources.storage.objects import StoredObject
    from sunriza_assets.errors import StoreError

    original = LocalStorage.put

    def put(self: LocalStorage, source: Path, name: str, **more: Any) -> StoredObject:
        place, _, rest = name.partition("/")
        avatar_id, _, asset = rest.partition("/")
        asset = asset.partition("/")[0]
        fault = fault_of(avatar_id, asset) if place == "pipeline" else None
        if fault is not None and _first_time(folder / f"fault-{avatar_id}-{asset}"):
            _note(folder, "faults", fault, avatar_id, asset, os.getpid())
            if fault == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            raise StoreError("The disk is full", where=name, code="full")
        return original(self, source, name, **more)

    LocalStorage.put = put  # type: ignore[method-assign]


def _write_down_extractions(folder: Path) -> None:
    from sunriza_assets.studio.engines.mesh.engine import MeshEngine

    original = MeshEngine.extract

    def extract(self: MeshEngine, clip: Path, **more: Any) -> Any:
        key = hashlib.sha256(clip.read_bytes()).hexdigest()[:12]
        template = original(self, clip, **more)
        _note(folder, "extractions", key, os.getpid())
        return template

    MeshEngine.extract = extract  # type: ignore[method-assign]


def _write_down_loads(folder: Path) -> None:
    from sunriza_assets.studio.face import runtime

    original: Callable[..., Any] = runtime.Graph.__init__

    def __init__(self: runtime.Graph, path: Path, **more: Any) -> None:  # noqa: N807
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        _note(folder, "loads", os.getpid(), path.name, f"gpu:{seen}")
        original(self, path, **more)

    runtime.Graph.__init__ = __init__  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
