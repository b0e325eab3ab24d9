"""`LocalAvatars` keeps the contract, and what only files can suffer does it no harm."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from resources.avatars import local_listing, ownership
from resources.avatars.local import LocalAvatars
from resources.home import Home
from sunriza_assets.errors import AvatarError, StoreError
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.resources.avatars.avatar_asking_contract import AvatarAskingContract
from sunriza_assets_tests.resources.avatars.avatar_clients_contract import (
    AvatarClientsContract,
    all_changes,
)
from sunriza_assets_tests.resources.avatars.avatar_listing_contract import AvatarListingContract
from sunriza_assets_tests.resources.avatars.avatar_owners_contract import AvatarOwnersContract
from sunriza_assets_tests.resources.avatars.avatar_store_contract import (
    INPUTS,
    PUBLICATION,
    AvatarStoreContract,
)
from sunriza_assets_tests.resources.avatars.avatar_versions_contract import (
    AvatarVersionsContract,
    made,
    put_in_place,
)
from sunriza_assets_tests.resources.avatars.avatar_waits_contract import AvatarWaitsContract


class Editor:
    """Somebody who writes the files by hand, without locks."""

    def __init__(self, home: Home) -> None:
        self._folder = home.avatars

    def path(self, avatar_id: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{avatar_id}.json"

    def save(self, avatar_id: str, fields: dict[str, Any]) -> None:
        self.replace(avatar_id, _merged(self.read(avatar_id), fields))

    def replace(self, avatar_id: str, data: dict[str, Any]) -> None:
        self.path(avatar_id).write_text(json.dumps(data))

    def read(self, avatar_id: str) -> dict[str, Any]:
        return json.loads(self.path(avatar_id).read_text())

    def delete(self, avatar_id: str) -> None:
        self.path(avatar_id).unlink()


def _merged(data: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    result = dict(data)
    for key, value in fields.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if nested else value
    return result


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def avatars(home: Home) -> LocalAvatars:
    return LocalAvatars(home)


@pytest.fixture
def client(home: Home) -> Editor:
    return Editor(home)


class TestContract(
    AvatarStoreContract,
    AvatarAskingContract,
    AvatarClientsContract,
    AvatarOwnersContract,
    AvatarListingContract,
    AvatarVersionsContract,
    AvatarWaitsContract,
):
    """All of it."""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"name": "' + b"x" * 1_100_000 + b'"}',
    ],
)
def test_a_broken_document_is_a_problem_of_that_avatar_alone(
    avatars: LocalAvatars, client: Editor, content: bytes
) -> None:
    avatars.merge("anna", INPUTS)
    client.path("broken").write_bytes(content)
    avatars.merge("zoe", INPUTS)
    with pytest.raises(StoreError):
        avatars.get("broken")
    with pytest.raises(StoreError):
        avatars.claim("broken", "run-1")
    changes = {change.avatar_id: change for change in all_changes(avatars)[0]}
    assert changes["broken"].document is None
    assert changes["broken"].problem
    assert changes["anna"].document
    assert changes["zoe"].document
    assert client.path("broken").read_bytes() == content


def test_a_corrected_document_comes_again(avatars: LocalAvatars, client: Editor) -> None:
    client.path("anna").write_text("{")
    cursor = all_changes(avatars)[1]
    client.replace("anna", INPUTS)
    [change] = all_changes(avatars, cursor)[0]
    assert change.document
    assert change.document.needs_run


def test_a_file_whose_name_is_no_id_is_told_of(avatars: LocalAvatars, client: Editor) -> None:
    client.path("my avatar").write_text("{}")
    client.path("anna").write_text("{}")
    changes = {change.avatar_id: change for change in all_changes(avatars)[0]}
    assert "not an avatar id" in (changes["my avatar"].problem or "")
    assert list(avatars.ids()) == ["anna"]


def test_a_document_put_in_place_with_an_old_time_is_seen(
    avatars: LocalAvatars, client: Editor, tmp_path: Path
) -> None:
    """`cp -p`, `tar x` and `git checkout` bring old modification times along."""
    avatars.merge("anna", INPUTS)
    cursor = all_changes(avatars)[1]
    old = tmp_path / "old.json"
    old.write_text(json.dumps(INPUTS))
    os.utime(old, (1, 1))
    old.rename(client.path("ben"))
    assert [change.avatar_id for change in all_changes(avatars, cursor)[0]] == ["ben"]


def test_a_document_from_the_future_does_not_hide_the_present(
    avatars: LocalAvatars, client: Editor
) -> None:
    client.replace("ben", INPUTS)
    os.utime(client.path("ben"), (2**32, 2**32))
    cursor = all_changes(avatars)[1]
    avatars.merge("anna", INPUTS)
    assert [change.avatar_id for change in all_changes(avatars, cursor)[0]] == ["anna"]


def test_equal_times_across_a_page_border(avatars: LocalAvatars, client: Editor) -> None:
    for name in ("a", "b", "c", "d", "e"):
        client.replace(name, INPUTS)
    later = time.time_ns() + 1_500_000_000  # ahead of the change time, so that it counts
    for name in ("a", "b", "c", "d", "e"):
        os.utime(client.path(name), ns=(later, later))
    wait_for(lambda: time.time_ns() > later)
    found, _ = all_changes(avatars, page=2)
    assert [change.avatar_id for change in found] == ["a", "b", "c", "d", "e"]
    assert len({change.document.update_time for change in found if change.document}) == 1


def test_a_link_out_of_the_folder_is_read_but_never_written_through(
    avatars: LocalAvatars, client: Editor, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(INPUTS))
    client.path("anna").symlink_to(outside)
    avatars.claim("anna", "run-1")
    assert json.loads(outside.read_text()) == INPUTS
    assert avatars.get("anna").status == "generating"


def test_a_full_disk_is_a_named_error_and_leaves_what_was(home: Home) -> None:
    LocalAvatars(home).merge("anna", INPUTS)
    before = (home.avatars / "anna.json").read_bytes()
    output = _python(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            avatars.merge("anna", {"greetingText": "x" * 3000})
        except StoreError as error:
            print(error.code, error.message)
        """,
        home,
    )
    assert output.startswith("store.full The disk is full")
    assert (home.avatars / "anna.json").read_bytes() == before
    assert [path.name for path in home.avatars.glob(".*part*")] == []


def test_a_folder_that_cannot_be_made_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        LocalAvatars(Home(tmp_path / "file")).merge("anna", INPUTS)
    assert list(LocalAvatars(Home(tmp_path / "absent")).ids()) == []


def test_a_hand_edited_record_is_a_named_error(avatars: LocalAvatars, home: Home) -> None:
    avatars.merge("anna", INPUTS)
    avatars.claim("anna", "run-1")
    record = home.avatars / ".server" / "anna.json"
    record.write_text(json.dumps({"claims": 1, "published": [{"version": 1}]}))
    with pytest.raises(StoreError) as caught:
        avatars.get("anna")
    assert caught.value.code == "store.record"


def test_a_run_killed_between_record_and_document_is_put_right(
    avatars: LocalAvatars, home: Home
) -> None:
    avatars.merge("anna", INPUTS)
    avatars.claim("anna", "run-1")
    generating = (home.avatars / "anna.json").read_bytes()
    good = avatars.publish("anna", "run-1", **PUBLICATION)
    (home.avatars / "anna.json").write_bytes(generating)  # as if the kill had come in between
    assert not avatars.fail("anna", "run-1", code="run.failed", message="The run stopped.")
    document = avatars.get("anna")
    assert (document.status, document.basic["idleVideoUrl"]) == ("ready", "idle-1")
    assert document.record == good.record


def test_killed_at_any_moment_it_leaves_whole_documents(home: Home) -> None:
    """A real process works on a document and is killed, again and again."""
    avatars = LocalAvatars(home)
    avatars.merge("anna", INPUTS)
    for attempt in range(12):
        worker = subprocess.Popen(
            [sys.executable, "-c", _LOOP, str(home.root), str(attempt)], stdout=subprocess.PIPE
        )
        assert worker.stdout
        worker.stdout.readline()
        time.sleep(0.004 * attempt)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        document = avatars.get("anna")  # readable, and the lock is free
        assert document.data["avatarImageUrl"] == INPUTS["avatarImageUrl"]
        if document.record.state == "generating":
            run_id = document.record.run_id or ""
            assert avatars.fail("anna", run_id, code="run.failed", message="The run stopped.")
        else:
            avatars.settle("anna")
        document = avatars.get("anna")
        assert not document.needs_settling
        assert document.status in ("ready", "error", None)
        current = document.record.current
        if current:
            assert document.basic["idleVideoUrl"] == f"idle-{int(current.version[1:7])}"


_LOOP = """
import itertools, sys
from pathlib import Path
from resources.avatars import local_listing, ownership
from resources.avatars.local import LocalAvatars
from resources.home import Home
from sunriza_assets_tests.resources.avatars.avatar_store_contract import publication
avatars = LocalAvatars(Home(Path(sys.argv[1])))
print("ready", flush=True)
for number in itertools.count(1 + 1000 * int(sys.argv[2])):
    avatars.claim("anna", f"run-{number}")
    avatars.progress("anna", f"run-{number}", 50)
    avatars.publish("anna", f"run-{number}", **publication(number))
"""


def _python(code: str, home: Home) -> str:
    import textwrap

    prelude = (
        "from pathlib import Path\n"
        "from resources.avatars.local import LocalAvatars\n"
        "from resources.home import Home\n"
        "from sunriza_assets.errors import StoreError\n"
        f"avatars = LocalAvatars(Home(Path({str(home.root)!r})))\n"
    )
    script = prelude + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_a_folder_that_is_called_like_a_document_is_none(home: Home) -> None:
    avatars = LocalAvatars(home)
    (home.avatars / "folder.json").mkdir(parents=True)
    assert list(avatars.ids()) == []
    assert all_changes(avatars) == ([], None)
    with pytest.raises(AvatarError):
        avatars.get("folder")


class TestPuttingAVersionInPlaceAgain:
    @pytest.mark.parametrize("dies_at", [1, 2])
    def test_a_process_killed_between_two_files_is_corrected(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
    ) -> None:
        """1: the record is written, the document is not. 2: the record still says so."""
        avatars = LocalAvatars(Home(tmp_path))
        avatars.merge("anna", INPUTS)
        made(avatars, 1, lips="clip")
        avatars.merge("anna", {"dynamics": {"basic": {"parameters": {"lips": "still"}}}})
        made(avatars, 2, lips="still")
        if dies_at == 1:
            monkeypatch.setattr(LocalAvatars, "_write", _die)
        else:
            monkeypatch.setattr(ownership, "settle", _die)
        with pytest.raises(Died):
            put_in_place(avatars, 1, lips="clip")
        monkeypatch.undo()
        document = avatars.get("anna")
        assert document.needs_settling
        assert not document.needs_run
        while avatars.get("anna").needs_settling:
            assert avatars.settle("anna")
        document = avatars.get("anna")
        assert document.basic["idleVideoUrl"] == "idle-1"
        assert document.wishes == {"fps": 25, "lips": "clip"}
        assert document.record.restoring is None
        assert not document.needs_run


class Died(BaseException):
    """Stands for a kill."""


def _die(*_: object, **__: object) -> None:
    raise Died


class TestALargeFolder:
    def test_files_edited_in_place_are_seen(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_listing, "_FRESH_S", 0.0)
        avatars, editor = LocalAvatars(Home(tmp_path)), Editor(Home(tmp_path))
        for number in range(5):
            editor.replace(f"a{number}", INPUTS | {"userId": "u", "name": f"N{number}"})
        assert len(avatars.page("u", sort="name").changes) == 5
        editor.replace("a3", INPUTS | {"userId": "v", "name": "N3"})
        ids = [change.avatar_id for change in avatars.page("u", sort="name").changes]
        assert ids == ["a0", "a1", "a2", "a4"]

    def test_a_broken_document_is_listed_for_everybody_alone(self, tmp_path: Path) -> None:
        avatars, editor = LocalAvatars(Home(tmp_path)), Editor(Home(tmp_path))
        avatars.create("anna", INPUTS | {"userId": "u"})
        editor.path("broken").write_text("{")
        assert [change.avatar_id for change in avatars.page("u").changes] == ["anna"]
        found = {change.avatar_id: change.document for change in avatars.page(None).changes}
        assert found.keys() == {"anna", "broken"}
        assert found["broken"] is None

    def test_unchanged_documents_are_read_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = Home(tmp_path)
        avatars = LocalAvatars(home)
        for number in range(30):
            avatars.create(f"a{number}", INPUTS | {"userId": "u", "name": f"N{number}"})
        read: list[str] = []
        summary = local_listing._summary
        monkeypatch.setattr(
            local_listing,
            "_summary",
            lambda *given: (read.append(given[0].stem), summary(*given))[1],
        )
        for sort in ("name", "created", "updated"):
            avatars.page("u", sort=sort, limit=3)
        assert len(read) == 30
        avatars.update("a7", {"name": "X"})
        avatars.page("u", sort="name", limit=3)
        assert read[30:] == ["a7"]
