"""A purge killed at one line after another, and what the next one makes of what is left.

    python -m sunriza_assets_tests.graph.killed_purges FOLDER PLACES

Prints how many purges were killed. A process of its own: it forks, which one with servers in
threads must not.
"""

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import dagster as dg

from resources.home import Home
from resources.services import Stores, Templates
from sunriza_assets.errors import AvatarError
from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.operations.purge import purge
from sunriza_assets.platform.instance import opened_instance

TRACED = ("operations/purge.py", "avatars/local.py", "storage/local.py", "template_users.py",
          "template_cache.py", "stamped.py", "atomic.py")  # fmt: skip


def main(folder: Path, places: int) -> None:
    """Kill purges at as many lines, evenly spread over all that one executes."""
    whole, counted = folder / "whole", folder / "lines"
    _prepare(Home(whole))  # in this process, so that its children have imported all
    _in_child(lambda: counted.write_text(str(_purged(_copy(whole, folder), 0))))
    lines = int(counted.read_text())
    killed = 0
    for place in range(places):
        home, kill_at = _copy(whole, folder), 1 + place * lines // places
        status = os.waitpid(_forked(partial(_purged, home, kill_at)), 0)[1]
        killed += os.WIFSIGNALED(status)
        _in_child(partial(_check, home))
    sys.stdout.write(f"{killed}\n")


def _prepare(home: Home) -> None:
    """Two owners' avatars with files, one template for both and one of each."""
    _use(home)
    stores, templates = Stores(), Templates()
    file = home.root.parent / "file"
    file.write_bytes(b"x")
    with opened_instance(home) as instance:
        instance.add_dynamic_partitions(AVATARS.name or "", ["ada", "ada2"])
    for avatar_id in ("ada", "ada2"):
        stores.avatars.merge(avatar_id, {"userId": avatar_id})
        stores.avatars.claim(avatar_id, f"run-{avatar_id}")
        for name in ("images/a.jpg", "dynamics/basic/v000001-00000000/idle.mp4"):
            stores.storage.put(file, f"avatars/{avatar_id}/{name}")
        stores.storage.put(file, f"pipeline/{avatar_id}/mask/current.json", private=True)
        for key in ("both", avatar_id):
            templates.users.add(key, avatar_id)
            entry = templates.cache.file(key)
            entry.parent.mkdir(parents=True, exist_ok=True)
            entry.write_bytes(b"x")
    (home.avatars / "ada.json").unlink()


def _purged(home: Home, kill_at: int) -> int:
    """Purge `ada`, and be killed at a line, counted from 1; how many lines there were."""
    _use(home)
    seen = 0

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal seen
        del argument
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return count

    with dg.DagsterInstance.get() as instance:
        sys.settrace(count)
        purge(instance, Stores(), Templates(), "ada")
        sys.settrace(None)
    return seen


def _check(home: Home) -> None:
    """Go on as the sensor does; nothing of `ada` is left, and all of the other."""
    _use(home)
    stores, templates = Stores(), Templates()
    with dg.DagsterInstance.get() as instance:
        known = instance.get_dynamic_partitions(AVATARS.name or "")
        present = stores.avatars.present(known)
        if stores.avatars.retired(9):
            try:
                stores.avatars.merge("ada", {"userId": "eve"})
            except AvatarError:
                pass
            else:
                raise AssertionError("somebody else made it while it was being purged")
        for avatar_id in {*stores.avatars.retired(9), *known} - present:
            result = purge(instance, stores, templates, avatar_id)
            assert result and result.is_complete
        assert instance.get_dynamic_partitions(AVATARS.name or "") == ["ada2"]
    assert stores.avatars.retired(9) == []
    assert not (home.avatars / ".server" / "ada.json").exists()
    names = [stored.name for stored in stores.storage.list("")]
    assert not [name for name in names if "ada/" in name or name.endswith("/ada")], names
    assert len([name for name in names if "ada2" in name]) == 3 + 4, names
    left = {key for key in ("both", "ada", "ada2") if templates.cache.file(key).exists()}
    assert left == {"both", "ada2"}, left
    stores.avatars.merge("ada", {"userId": "eve"})
    assert stores.avatars.claim("ada", "run-eve").record.claims == 1


def _copy(whole: Path, folder: Path) -> Home:
    shutil.rmtree(folder / "copy", ignore_errors=True)
    shutil.copytree(whole, folder / "copy")
    return Home(folder / "copy")


def _use(home: Home) -> None:
    os.environ["SUNRIZA_HOME"] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.dagster)


def _in_child(work: Callable[[], object]) -> None:
    status = os.waitpid(_forked(work), 0)[1]
    if status != 0:
        sys.exit("a check failed")


def _forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            work()
            failed = 0
        finally:
            if failed:
                traceback.print_exc()
            os._exit(failed)
    return child


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
