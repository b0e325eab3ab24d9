"""Publishing on the local stores."""

from pathlib import Path

import pytest

from resources.avatars_local import LocalAvatars
from resources.home import Home
from resources.storage_local import LocalStorage
from sunriza_assets_tests.resources.publication_contract import PublicationContract
from sunriza_assets_tests.resources.test_avatars_local import Editor
from sunriza_assets_tests.resources.test_storage_local import opened

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


class TestContract(PublicationContract):
    """All of it."""
