"""Parts of killed writers are swept, once they are old; nothing else is."""

import os
import subprocess
import sys
import time
from pathlib import Path

from resources.home import Home
from resources.storage.leftovers import sweep_leftovers
from resources.storage.scratch import new_folder
from sunriza_assets.atomic import part_path, replacing

_KILLED = """
import os, signal, sys
from pathlib import Path
from resources.home import Home
from resources.storage.local import LocalStorage
from resources.storage import stamped

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

stamped._stamp = killed
LocalStorage(Home(Path(sys.argv[1]))).put(Path(sys.argv[2]), "avatars/ada/images/hero.png")
"""
DAYS = 86_400


def aged(path: Path, seconds: float = 1.5 * DAYS) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def parts(root: Path) -> list[Path]:
    return sorted(root.rglob("*.part"))


def test_what_a_killed_writer_left_goes_after_a_day(tmp_path: Path) -> None:
    home, source = Home(tmp_path / "home"), tmp_path / "hero.png"
    source.write_bytes(b"portrait" * 1000)
    command = [sys.executable, "-c", _KILLED, str(home.root), str(source)]
    assert subprocess.run(command, check=False).returncode == -9
    left = parts(home.root)
    assert left
    assert sweep_leftovers(home, force=True) == 0, "somebody may still be writing"
    for part in left:
        aged(part)
    assert sweep_leftovers(home, force=True) == len(left)
    assert parts(home.root) == []


def test_parts_of_all_kinds_and_nothing_else(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    key = "0123456789abcdef" * 4
    folder = home.cache / "templates" / key[:2]
    places = [
        part_path(home.storage / "avatars" / "ada" / "idle.mp4"),
        home.storage / ".objects" / ".a.json.1234.part",
        home.avatars / ".ada.json.7.part",
        home.dagster / "history" / ".runs.db.12.140245.part",
        home.reports / "ledger" / ".steps-1.parquet.99.part",
        folder / f".{key}.npz.55.part",
        home.cache / f".idle.mp4.{'0f' * 16}.part",
        folder / f".{key}.4711" / "part",
    ]
    kept = [
        home.storage / "avatars" / "ada" / "idle.mp4",
        home.storage / "a.part",
        home.storage / ".hidden.part",
        home.storage / ".a.12.parts",
        folder / f"{key}.npz",
        folder / f".{key}.lock",
    ]
    elsewhere = tmp_path / "elsewhere" / ".x.1.part"
    for path in (*places, *kept, elsewhere):
        path.parent.mkdir(parents=True, exist_ok=True)
        aged(path) if path.write_bytes(b"x") else None
    aged(places[-1].parent)
    (home.storage / "link").symlink_to(elsewhere.parent)
    assert sweep_leftovers(home, force=True) == len(places)
    assert not any(path.exists() for path in places)
    assert all(path.exists() for path in (*kept, elsewhere))


def test_it_is_looked_once_a_day_when_a_step_begins(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    new_folder(home)
    home.storage.mkdir()
    part = home.storage / ".a.1.part"
    part.write_bytes(b"x")
    aged(part)
    new_folder(home)
    assert part.exists()
    aged(home.root / ".swept")
    new_folder(home)
    assert not part.exists()


def test_a_writer_at_work_is_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.storage.mkdir()
    with replacing(home.storage / "a") as file:
        file.write(b"a")
        assert sweep_leftovers(home, force=True) == 0
    assert (home.storage / "a").read_bytes() == b"a"
