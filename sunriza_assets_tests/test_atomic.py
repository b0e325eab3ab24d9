"""Files are whole or absent, and say so when they cannot be written."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from sunriza_assets.atomic import lock, make_folder, part_path, replaced, replacing
from sunriza_assets.errors import StoreError

Writer = Callable[[Path], AbstractContextManager[Any]]
WRITERS: list[Writer] = [replacing, replaced]


def write(handle: Any, content: bytes) -> None:
    """Into an open file or under a name, whichever the writer gave."""
    if isinstance(handle, Path):
        handle.write_bytes(content)
    else:
        handle.write(content)
        handle.flush()


@pytest.mark.parametrize("writer", WRITERS)
def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path, writer: Writer) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with writer(path) as handle:
        write(handle, b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("writer", WRITERS)
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, writer: Writer) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyError), writer(path) as handle:
        write(handle, b"half")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_killed_writer_leaves_the_old_file(tmp_path: Path, writer: Writer) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    child = os.fork()
    if child == 0:
        with writer(path) as handle:
            write(handle, b"half")
            os._exit(9)
    os.waitpid(child, 0)
    assert path.read_text() == "old"
    assert part_path(path, child).read_text() == "half"


@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path, writer: Writer) -> None:
    path = tmp_path / "none" / "a"
    with pytest.raises(StoreError) as caught, writer(path) as handle:
        write(handle, b"x")
    assert caught.value.code == "store.write"
    make_folder(path.parent)
    with writer(path) as handle:
        write(handle, b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk at hand")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_called_so(tmp_path: Path, writer: Writer) -> None:
    path = tmp_path / "a"
    part_path(path).symlink_to("/dev/full")
    with pytest.raises(StoreError, match="disk is full") as caught, writer(path) as handle:
        write(handle, b"x" * 100)
    assert caught.value.code == "store.full"
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    script = (
        "import os, sys, pathlib\n"
        "from sunriza_assets.atomic import lock\n"
        f"with lock(pathlib.Path({str(path)!r})):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    with lock(path):
        pass


def test_a_lock_that_is_held_is_waited_for_and_then_named(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with lock(path), pytest.raises(StoreError) as caught, lock(path, patience_s=0.05):
        pass
    assert caught.value.code == "store.locked"


def test_a_lock_whose_file_is_removed_while_it_is_waited_for_is_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    entered = threading.Event()

    def enter() -> None:
        with lock(path):
            entered.set()

    waiting = threading.Thread(target=enter)
    with lock(path):
        waiting.start()
        assert not entered.wait(0.05)
        path.unlink()
    waiting.join(30)
    assert entered.is_set()
    assert path.exists()
