"""Steps for `test_gpu`: one that works, and some that do not."""

import os
import subprocess
import sys
import time
from pathlib import Path

from sunriza_assets.studio.bench.gpu.bench import Bench, Note


def works(bench: Bench, note: Note) -> None:
    note("process", os.getpid())
    note("numbers", [1.23456, float("nan"), float("inf")])


def raises(bench: Bench, note: Note) -> None:
    note("before", True)
    raise ValueError("this goes wrong")


def crashes(bench: Bench, note: Note) -> None:
    os.abort()


def hangs(bench: Bench, note: Note, path: str) -> None:
    """Hangs, and so does a process that it started; writes both process ids into a file."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note("before", True)
    Path(path).write_text(f"{os.getpid()} {other.pid}\n")
    time.sleep(600)
