"""SUNRIZA_HOME and what is made inside are readable by the owner only."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.storage.local import LocalStorage
from resources.storage.scratch import new_folder
from sunriza_assets.atomic import lock, make_folder, replaced, replacing
from sunriza_assets.cli.doctor import DIAGNOSTICS


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that all users may read, as a checkout is."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def modes(root: Path) -> dict[str, int]:
    return {
        str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode)
        for path in (root, *root.rglob("*"))
    }


def test_what_the_stores_write_is_private(place: Path) -> None:
    home = Home(place / "deep" / "home")
    source = place / "portrait.png"
    source.write_bytes(b"portrait")
    LocalStorage(home).put(source, "avatars/ada/images/hero.png")
    LocalAvatars(home).merge("ada", {"name": "Ada"})
    new_folder(home)
    found = modes(home.root)
    assert len(found) > 12
    for name, mode in found.items():
        assert mode == (0o700 if (home.root / name).is_dir() else 0o600), name
    assert modes(place)["deep"] == 0o755, "folders above are nobody's secret"


def test_a_home_that_is_shared_with_a_group_stays_so(place: Path) -> None:
    home = Home(place / "home")
    home.root.mkdir()
    home.root.chmod(0o750)
    source = place / "portrait.png"
    source.write_bytes(b"portrait")
    LocalStorage(home).put(source, "hero.png")
    assert modes(home.root)["."] == 0o750
    assert modes(home.root)["storage"] == 0o750
    assert modes(home.root)["storage/hero.png"] == 0o640


def test_elsewhere_the_umask_decides(place: Path) -> None:
    """The control: a report that is exported into an open folder can be read."""
    make_folder(place / "a" / "b")
    with replacing(place / "a" / "file") as file:
        file.write(b"x")
    with replaced(place / "a" / "other") as part:
        part.write_bytes(b"x")
    with lock(place / "a" / "lock"):
        pass
    assert modes(place / "a") == {
        ".": 0o755, "b": 0o755, "file": 0o644, "other": 0o644, "lock": 0o644,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "told"),
    [(0o755, "readable by everybody"), (0o777, "writable by everybody"), (0o750, "closed"),
     (0o700, "closed")],
)  # fmt: skip
def test_doctor_reports_who_may_read_the_home(
    place: Path, monkeypatch: pytest.MonkeyPatch, mode: int, told: str
) -> None:
    home = place / "home"
    home.mkdir()
    home.chmod(mode)
    monkeypatch.setenv("SUNRIZA_HOME", str(home))
    findings = {
        one.name: one for look in DIAGNOSTICS if look.__name__ == "_stores" for one in look()
    }
    assert told in findings["rights"].detail
    assert findings["rights"].state == ("ok" if told == "closed" else "optional")
    assert findings["rights"].remedy.startswith("chmod") == (told != "closed")
