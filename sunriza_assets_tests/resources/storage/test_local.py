"""`LocalStorage` keeps the contract, and what only files can suffer does it no harm."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from resources.home import Home
from resources.storage.local import LocalStorage
from resources.storage.objects import MediaStorage
from sunriza_assets.errors import StoreError
from sunriza_assets_tests.resources.storage.media_storage_contract import MediaStorageContract, file

__all__ = ["file"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def storage(home: Home) -> LocalStorage:
    return LocalStorage(home)


@pytest.fixture
def opened() -> Callable[[str], bytes | None]:
    def read(url: str) -> bytes | None:
        path = Path(unquote(urlsplit(url).path))
        return path.read_bytes() if path.exists() else None

    return read


class TestContract(MediaStorageContract):
    """All of it."""


def test_the_layout_is_that_of_the_bucket(storage: MediaStorage, home: Home) -> None:
    source = home.root.parent / "x"
    source.write_bytes(b"x")
    storage.put(source, "avatars/anna/dynamics/basic/idle.mp4")
    assert (home.storage / "avatars/anna/dynamics/basic/idle.mp4").read_bytes() == b"x"


def test_files_put_there_by_hand_are_objects(storage: MediaStorage, home: Home) -> None:
    path = home.storage / "avatars/anna/images/hero.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"1")
    first = storage.stat("avatars/anna/images/hero.jpg")
    assert first
    assert (first.content_type, first.size) == ("image/jpeg", 1)
    path.write_bytes(b"22")
    second = storage.stat("avatars/anna/images/hero.jpg")
    assert second
    assert second.generation != first.generation
    assert second.md5 != first.md5
    url = "avatars/anna/images/hero.jpg"
    assert storage.resolve(url, home.cache, avatar_id="anna", max_bytes=10) == path


def test_deleted_objects_leave_no_folders(storage: MediaStorage, home: Home) -> None:
    """Of an avatar that is purged, nothing says that it was there."""
    names = [f"avatars/anna/{name}" for name in ("images/a.png", "dynamics/basic/v1/idle.mp4")]
    home.make()
    source = home.root / "a file"
    source.write_bytes(b"x")
    for name in (*names, "avatars/ben/images/a.png"):
        storage.put(source, name)
    for name in names:
        assert storage.delete(name)
    assert not list(home.root.rglob("anna"))
    assert [one.name for one in storage.list("avatars/")] == ["avatars/ben/images/a.png"]
    assert storage.delete("avatars/ben/images/a.png")
    assert home.storage.is_dir() and not (home.storage / "avatars").exists()


def test_an_object_edited_by_hand_is_what_it_now_is(storage: MediaStorage, home: Home) -> None:
    source = home.root.parent / "x"
    source.write_bytes(b"x")
    stored = storage.put(source, "a.json")
    (home.storage / "a.json").write_bytes(b"yy")
    changed = storage.stat("a.json")
    assert changed
    assert (changed.size, changed.md5 == stored.md5) == (2, False)
    assert storage.fetch("a.json", home.cache).read_bytes() == b"yy"


def test_silent_damage_is_found(storage: MediaStorage, home: Home) -> None:
    """The size and time of a file are what they were, its bytes are not."""
    source = home.root.parent / "x"
    source.write_bytes(b"good")
    storage.put(source, "a")
    path = home.storage / "a"
    before = path.stat()
    path.write_bytes(b"evil")
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    with pytest.raises(StoreError) as caught:
        storage.fetch("a", home.cache)
    assert caught.value.code == "store.damaged"


def test_urls_survive_a_move_of_the_home(storage: MediaStorage, home: Home) -> None:
    source = home.root.parent / "x"
    source.write_bytes(b"x")
    url = storage.put(source, "avatars/anna/a.jpg").url
    moved = Home(home.root.parent / "elsewhere")
    home.root.rename(moved.root)
    path = LocalStorage(moved).resolve(url, moved.cache, avatar_id="anna", max_bytes=10)
    assert path == moved.storage / "avatars/anna/a.jpg"


def test_no_link_leads_out(storage: MediaStorage, home: Home) -> None:
    secret = home.root.parent / "secret"
    secret.mkdir()
    (secret / "key").write_bytes(b"secret")
    home.storage.mkdir(parents=True)
    (home.storage / "folder").symlink_to(secret)
    (home.storage / "file").symlink_to(secret / "key")
    for name in ("folder/key", "file"):
        for operation in (
            lambda name=name: storage.fetch(name, home.cache),
            lambda name=name: storage.resolve(name, home.cache, avatar_id="anna", max_bytes=100),
            lambda name=name: storage.put(secret / "key", name),
            lambda name=name: storage.delete(name),
        ):
            with pytest.raises(StoreError):
                operation()
    assert (secret / "key").read_bytes() == b"secret"


def test_a_home_behind_a_link_works(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    source = tmp_path / "x"
    source.write_bytes(b"x")
    storage = LocalStorage(Home(tmp_path / "home"))
    url = storage.put(source, "avatars/anna/a").url
    path = storage.resolve(url, tmp_path, avatar_id="anna", max_bytes=10)
    assert path.read_bytes() == b"x"


def test_no_link_leads_to_another_avatars_files(storage: MediaStorage, home: Home) -> None:
    source = home.root.parent / "x"
    source.write_bytes(b"private")
    storage.put(source, "avatars/victim/images/a.jpg")
    (home.storage / "avatars/anna").symlink_to(home.storage / "avatars/victim")
    with pytest.raises(StoreError) as caught:
        storage.resolve("avatars/anna/images/a.jpg", home.cache, avatar_id="anna", max_bytes=10)
    assert caught.value.code == "store.refused"


def test_a_name_below_an_object_is_a_named_error(storage: MediaStorage, home: Home) -> None:
    source = home.root.parent / "x"
    source.write_bytes(b"x")
    storage.put(source, "a")
    with pytest.raises(StoreError):
        storage.put(source, "a/b")
    storage.put(source, "c/d")
    with pytest.raises(StoreError):
        storage.put(source, "c")
    assert [one.name for one in storage.list("")] == ["a", "c/d"]


def test_a_full_disk_leaves_the_former_object(storage: MediaStorage, home: Home) -> None:
    source = home.root.parent / "x"
    source.write_bytes(b"x")
    storage.put(source, "a")
    source.write_bytes(b"y" * 50_000)
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from resources.home import Home\n"
        "from resources.storage.local import LocalStorage\n"
        "from sunriza_assets.errors import StoreError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    LocalStorage(Home(Path(sys.argv[1]))).put(Path(sys.argv[2]), 'a')\n"
        "except StoreError as error:\n"
        "    print(error.code)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script, str(home.root), str(source)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert process.stdout == "store.full\n"
    assert storage.fetch("a", home.cache).read_bytes() == b"x"
    assert [path.name for path in home.storage.glob(".*part*")] == []


def test_killed_at_any_moment_it_leaves_whole_objects(storage: MediaStorage, home: Home) -> None:
    """A real process overwrites one object with two contents in turn, and is killed."""
    sources = [home.root.parent / letter for letter in "ab"]
    for source in sources:
        source.write_bytes(source.name.encode() * 400_000)
    storage.put(sources[0], "avatars/x/idle.mp4")
    script = (
        "import itertools, sys\n"
        "from pathlib import Path\n"
        "from resources.home import Home\n"
        "from resources.storage.local import LocalStorage\n"
        "storage = LocalStorage(Home(Path(sys.argv[1])))\n"
        "print('ready', flush=True)\n"
        "for source in itertools.cycle(sys.argv[2:]):\n"
        "    storage.put(Path(source), 'avatars/x/idle.mp4')\n"
    )
    command = [sys.executable, "-c", script, str(home.root), *map(str, sources)]
    for attempt in range(12):
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(0.003 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        content = storage.fetch("avatars/x/idle.mp4", home.cache).read_bytes()
        assert (len(content), len(set(content))) == (400_000, 1)
        assert [one.name for one in storage.list("")] == ["avatars/x/idle.mp4"]
        storage.put(sources[attempt % 2], "avatars/x/idle.mp4")  # and the lock is free
