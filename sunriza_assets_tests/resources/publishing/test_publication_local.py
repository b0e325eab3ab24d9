"""Publishing on the local stores."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.publishing.publication import folder_of
from resources.storage.local import LocalStorage
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS
from sunriza_assets_tests.resources.avatars.test_local import Editor
from sunriza_assets_tests.resources.publishing.publication_contract import PublicationContract
from sunriza_assets_tests.resources.publishing.publications import (
    AT_ONCE,
    NAMES,
    published,
    versions_seen,
)
from sunriza_assets_tests.resources.publishing.versions_contract import VersionsContract
from sunriza_assets_tests.resources.storage.test_local import opened

__all__ = ["opened"]


@pytest.fixture
def avatars(tmp_path: Path) -> LocalAvatars:
    return LocalAvatars(Home(tmp_path))


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(Home(tmp_path))


@pytest.fixture
def client(tmp_path: Path) -> Editor:
    return Editor(Home(tmp_path))


class TestContract(PublicationContract, VersionsContract):
    """All of it."""


def test_killed_at_any_moment_a_reader_finds_whole_versions(tmp_path: Path) -> None:
    """A real process publishes again and again, and is killed."""
    avatars, storage = LocalAvatars(Home(tmp_path)), LocalStorage(Home(tmp_path))
    avatars.merge("anna", INPUTS)
    for attempt in range(10):
        publisher = subprocess.Popen(
            [sys.executable, "-c", _LOOP, str(tmp_path), str(attempt)], stdout=subprocess.PIPE
        )
        assert publisher.stdout
        publisher.stdout.readline()
        time.sleep(0.012 * attempt)
        publisher.send_signal(signal.SIGKILL)
        publisher.wait()
        run_id = avatars.get("anna").record.run_id
        if run_id is not None:  # what the sensor for dead runs does
            avatars.fail("anna", run_id, code="run.failed", message="The run stopped.")
        document = avatars.get("anna")
        assert not document.needs_settling
        seen = versions_seen(document.basic, _read)
        assert None not in seen.values()
        assert len(set(seen.values())) <= 1
    published(storage, avatars, tmp_path, "last", retention=AT_ONCE)
    assert len(list(storage.list(folder_of("anna")))) == 2 * len(NAMES)


_LOOP = """
import itertools, sys
from pathlib import Path
from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.storage.local import LocalStorage
from sunriza_assets_tests.resources.publishing.publications import published
home = Home(Path(sys.argv[1]))
print("ready", flush=True)
for number in itertools.count(1):
    published(LocalStorage(home), LocalAvatars(home), home.root, f"run-{sys.argv[2]}-{number}")
"""


def _read(url: str) -> bytes | None:
    path = Path(unquote(urlsplit(url).path))
    return path.read_bytes() if path.exists() else None
