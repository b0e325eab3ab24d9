"""Scratch folders go with their step, and those of killed processes with the next step."""

import os
import subprocess
import sys
import time
from pathlib import Path

from resources.home import Home
from resources.process_names import is_gone, this_process
from resources.storage.scratch import discard, new_folder, sweep

_LEAVES_ONE_BEHIND = """
import os, signal, sys
from pathlib import Path
from resources.home import Home
from resources.storage.scratch import new_folder
(new_folder(Home(Path(sys.argv[1]))) / "half.mp4").write_bytes(b"half")
os.kill(os.getpid(), signal.SIGKILL)
"""


def folders(home: Home) -> list[Path]:
    return sorted((home.cache / "scratch").iterdir())


def test_a_folder_goes_with_its_step(tmp_path: Path) -> None:
    home = Home(tmp_path)
    one, other = new_folder(home), new_folder(home)
    (one / "deep").mkdir()
    discard(home, one / "deep")
    assert folders(home) == [other]


def test_what_a_killed_process_left_goes_with_the_next_step(tmp_path: Path) -> None:
    home = Home(tmp_path)
    mine = new_folder(home)
    subprocess.run([sys.executable, "-c", _LEAVES_ONE_BEHIND, str(tmp_path)], check=False)
    assert len(folders(home)) == 2
    another = new_folder(home)
    assert folders(home) == sorted([mine, another])


def test_folders_of_other_machines_are_left_alone_for_a_day(tmp_path: Path) -> None:
    home = Home(tmp_path)
    new_folder(home)
    foreign = home.cache / "scratch" / "step-else-where,1,0.00-abc"
    unnamed = home.cache / "scratch" / "step-abc"
    for folder in (foreign, unnamed):
        folder.mkdir()
    sweep(home)
    assert foreign.exists()
    assert unnamed.exists()
    os.utime(foreign, (time.time() - 90_000,) * 2)
    sweep(home)
    assert not foreign.exists()


def test_this_process_lives_and_others_are_unknown() -> None:
    assert not is_gone(this_process())
    host, pid, started = this_process().rsplit(":", 2)
    assert is_gone(f"{host}:{pid}:{float(started) - 100}")
    assert not any(is_gone(name) for name in ("", "nonsense", f"{host}:", "elsewhere:1:0.00"))
