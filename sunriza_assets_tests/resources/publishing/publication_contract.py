"""What publishing promises, whichever stores it works on; each pair of stores inherits this suite.

A subclass brings the fixtures of both stores' contracts: `avatars`, `client`, `storage`, `opened`.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any, Protocol

import pytest

from resources.avatars.document import AvatarDocument
from resources.avatars.store import AvatarStore
from resources.publishing.publication import (
    FILES,
    confirm_publication,
    folder_of,
    publish_avatar,
    tidy,
)
from resources.storage.objects import MediaStorage, StoredObject
from sunriza_assets.errors import ConflictError, StoreError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS, Client
from sunriza_assets_tests.resources.publishing.publications import (
    AT_ONCE,
    DAY,
    NAMES,
    FailingStorage,
    files_of,
    published,
    versions_seen,
)


class Publish(Protocol):
    """Claims avatar `anna` for a run, makes its files and publishes them."""

    def __call__(
        self,
        run_id: str,
        *,
        storage: MediaStorage | None = None,
        names: tuple[str, ...] = NAMES,
        **arguments: Any,
    ) -> AvatarDocument: ...


Seen = Callable[[Mapping[str, Any]], dict[str, str | None]]
"""The version that each URL of a document leads to, None for a 404."""


class PublicationContract:
    @pytest.fixture(autouse=True)
    def _anna(self, avatars: AvatarStore) -> None:
        avatars.merge("anna", INPUTS)

    @pytest.fixture
    def publish(self, avatars: AvatarStore, storage: MediaStorage, tmp_path: Path) -> Publish:
        bucket = storage

        def publish(
            run_id: str,
            *,
            storage: MediaStorage | None = None,
            names: tuple[str, ...] = NAMES,
            **arguments: Any,
        ) -> AvatarDocument:
            return published(storage or bucket, avatars, tmp_path, run_id, names=names, **arguments)

        return publish

    @pytest.fixture
    def seen(self, opened: Callable[[str], bytes | None]) -> Seen:
        return lambda basic: versions_seen(basic, opened)

    def test_a_publication_is_whole_and_under_the_documented_names(
        self,
        publish: Publish,
        seen: Seen,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
    ) -> None:
        document = publish("run-1")
        assert seen(document.basic) == dict.fromkeys(NAMES, "run-1")
        folder = folder_of("anna")
        assert folder == "avatars/anna/dynamics/basic"
        for name in NAMES:
            stored = storage.stat(f"{folder}/{name}")
            assert stored
            assert opened(stored.url) == f"run-1 {name}".encode()
            assert stored.content_type == FILES[name].content_type
        assert not document.needs_run

    def test_chunks_and_frames_go_with_it(
        self, publish: Publish, seen: Seen, storage: MediaStorage
    ) -> None:
        document = publish("run-1", names=tuple(FILES))
        assert seen(document.basic) == dict.fromkeys(FILES, "run-1")
        document = publish("run-2")
        assert seen(document.basic) == dict.fromkeys(NAMES, "run-2")
        assert storage.stat(f"{folder_of('anna')}/idle_chunks/idle_chunk1.mp4") is None

    def test_a_file_that_describes_the_others_is_made_after_them(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.claim("anna", "run-1")
        idle, manifest = tmp_path / "idle.mp4", tmp_path / "manifest.json"
        idle.write_bytes(b"idle")

        def write_manifest() -> Path:
            prefix = f"{folder_of('anna')}/v"
            manifest.write_text("\n".join(stored.name for stored in storage.list(prefix)))
            return manifest

        document = publish_avatar(
            storage,
            avatars,
            "anna",
            "run-1",
            files={"idle.mp4": idle, "manifest.json": write_manifest},
            parameters={},
            overridden={},
        )
        manifest = opened(document.basic["manifestUrl"])
        assert manifest is not None
        assert manifest.endswith(b"/idle.mp4")

    def test_a_reader_who_knew_the_former_version_still_finds_it(
        self, publish: Publish, seen: Seen
    ) -> None:
        former = publish("run-1").basic
        publish("run-2")
        assert seen(former) == dict.fromkeys(NAMES, "run-1")

    def test_replaced_versions_go_after_a_while(
        self, publish: Publish, seen: Seen, avatars: AvatarStore, storage: MediaStorage
    ) -> None:
        old = [publish(f"run-{n}").basic for n in (1, 2, 3)]
        assert tidy(storage, avatars, "anna") == []
        later = datetime.now(UTC) + timedelta(days=2)
        assert len(tidy(storage, avatars, "anna", retention=DAY, now=later)) == 2 * len(NAMES)
        assert [set(seen(basic).values()) for basic in old] == [
            {None},
            {None},
            {"run-3"},
        ]
        assert len(list(storage.list(folder_of("anna")))) == 2 * len(NAMES)

    def test_without_a_retention_time_they_are_deleted_at_once(
        self, publish: Publish, storage: MediaStorage
    ) -> None:
        for number in (1, 2, 3):
            publish(f"run-{number}", retention=AT_ONCE)
        assert len(list(storage.list(folder_of("anna")))) == 2 * len(NAMES)

    def test_a_run_publishes_once(
        self, publish: Publish, seen: Seen, storage: MediaStorage
    ) -> None:
        first = publish("run-1")
        assert publish("run-1") == first
        assert len(list(storage.list(folder_of("anna")))) == 2 * len(NAMES)
        assert seen(first.basic) == dict.fromkeys(NAMES, "run-1")

    def test_a_superseded_run_publishes_nothing_and_leaves_nothing(
        self, avatars: AvatarStore, storage: MediaStorage, tmp_path: Path
    ) -> None:
        avatars.claim("anna", "run-1")

        class Overtaken(FailingStorage):
            def __init__(self) -> None:
                super().__init__(storage, "put", 3)

            def __getattr__(self, name: str) -> Any:
                if name == "put" and self._left == 1:
                    avatars.claim("anna", "run-2")
                    self._operation = ""
                return super().__getattr__(name)

        with pytest.raises(ConflictError):
            publish_avatar(
                Overtaken(),
                avatars,
                "anna",
                "run-1",
                files=files_of(tmp_path, "run-1"),
                parameters={},
                overridden={},
            )
        assert list(storage.list("")) == []
        assert avatars.get("anna").run_id == "run-2"

    @pytest.mark.parametrize("failure", [("put", 1), ("put", 4), ("put", 5)])
    def test_a_bucket_that_fails_before_the_switch_leaves_the_former_version(
        self,
        publish: Publish,
        seen: Seen,
        avatars: AvatarStore,
        storage: MediaStorage,
        failure: tuple[str, int],
    ) -> None:
        publish("run-1")
        failing: Any = FailingStorage(storage, *failure)
        with pytest.raises(StoreError):
            publish(storage=failing, run_id="run-2")
        document = avatars.get("anna")
        assert seen(document.basic) == dict.fromkeys(NAMES, "run-1")
        avatars.fail("anna", "run-2", code="store.unavailable", message="Try again.")
        document = publish("run-3", retention=AT_ONCE)
        assert seen(document.basic) == dict.fromkeys(NAMES, "run-3")
        # What the dead run left behind went with the next clean-up.
        assert len(list(storage.list(folder_of("anna")))) == 2 * len(NAMES)

    @pytest.mark.parametrize("failure", [("copy", 1), ("copy", 3), ("list", 1)])
    def test_a_bucket_that_fails_after_the_switch_does_not_undo_it(
        self, publish: Publish, seen: Seen, storage: MediaStorage, failure: tuple[str, int]
    ) -> None:
        failing: Any = FailingStorage(storage, *failure)
        document = publish(storage=failing, run_id="run-1")
        assert seen(document.basic) == dict.fromkeys(NAMES, "run-1")
        # Said again, it makes up for what was left undone.
        publish("run-1")
        assert {storage.stat(f"{folder_of('anna')}/{name}") is None for name in NAMES} == {False}

    def test_two_publications_at_once_leave_the_plain_names_of_one_version(
        self, publish: Publish, seen: Seen, storage: MediaStorage
    ) -> None:
        """The first run is slow: it copies its files while the second one publishes."""
        copying, overtaken = threading.Event(), threading.Event()

        class Slow(FailingStorage):
            def copy(self, name: str, target: str, **arguments: Any) -> StoredObject:
                if name.endswith("atlas.json") and not overtaken.is_set():
                    copying.set()
                    overtaken.wait(120)
                return storage.copy(name, target, **arguments)

        slow: Any = Slow(storage, "", 0)
        first = threading.Thread(target=publish, args=("run-1",), kwargs={"storage": slow})
        first.start()
        assert copying.wait(120)
        publish("run-2")
        overtaken.set()
        first.join()
        plain = {
            FILES[name].key: stored.url
            for name in NAMES
            if (stored := storage.stat(f"{folder_of('anna')}/{name}"))
        }
        assert seen(plain) == dict.fromkeys(NAMES, "run-2")

    def test_a_client_that_saves_the_former_version_is_put_right(
        self, publish: Publish, seen: Seen, avatars: AvatarStore, client: Client
    ) -> None:
        publish("run-1")
        stale = client.read("anna")
        publish("run-2")
        client.save("anna", stale)
        document = avatars.get("anna")
        assert seen(document.basic) == dict.fromkeys(NAMES, "run-1")
        avatars.settle("anna")
        document = avatars.get("anna")
        assert seen(document.basic) == dict.fromkeys(NAMES, "run-2")

    def test_only_documented_files_are_published(self, publish: Publish) -> None:
        with pytest.raises(ValueError, match=r"evil\.sh"):
            publish("run-1", names=("idle.mp4", "evil.sh"))
        with pytest.raises(ValueError, match="idle"):
            publish("run-1", names=("atlas.jpg",))

    @pytest.mark.parametrize("change", ["nothing", "a file", "one file less", "the manifest"])
    def test_only_the_very_same_publication_is_left_in_place(
        self,
        publish: Publish,
        seen: Seen,
        avatars: AvatarStore,
        storage: MediaStorage,
        tmp_path: Path,
        change: str,
    ) -> None:
        names = (*NAMES, "manifest.json")
        before = publish("run-1", names=names)
        files = files_of(tmp_path, "run-1", NAMES)
        if change == "a file":
            files["mask.png"].write_bytes(b"run-2 mask.png")
        if change == "one file less":
            del files["mask.png"]
        avatars.claim("anna", "run-2")
        document = confirm_publication(
            storage,
            avatars,
            "anna",
            "run-2",
            expected_md5=lambda _: (
                None
                if change == "the manifest"
                else {
                    name: md5(path.read_bytes(), usedforsecurity=False).hexdigest()
                    for name, path in files.items()
                }
            ),
            parameters={"fps": 30},
            overridden={},
            scratch=tmp_path / "scratch",
        )
        if change != "nothing":
            assert document is None
            assert avatars.get("anna").status == "generating"
            return
        assert document is not None
        assert (document.status, document.run_id) == ("ready", "run-2")
        assert document.basic["parameters"] == {"fps": 30}
        assert not document.needs_run
        assert not document.needs_settling
        assert document.record.current is not None
        assert before.record.current is not None
        assert document.record.current.version == before.record.current.version
        assert document.record.current.run_id == "run-1"
        assert seen(document.basic) == dict.fromkeys(names, "run-1")

    def test_confirming_may_be_repeated_and_is_for_the_owner_alone(
        self, publish: Publish, avatars: AvatarStore
    ) -> None:
        current = publish("run-1").record.current
        assert current is not None
        arguments: dict[str, Any] = {"parameters": {}, "overridden": {}}
        avatars.claim("anna", "run-2")
        with pytest.raises(ConflictError):
            avatars.confirm("anna", "run-1", version=current.version, **arguments)
        with pytest.raises(ConflictError):
            avatars.confirm("anna", "run-2", version="v000009-00000000", **arguments)
        once = avatars.confirm("anna", "run-2", version=current.version, **arguments)
        twice = avatars.confirm("anna", "run-2", version=current.version, **arguments)
        assert twice.record == once.record
        avatars.claim("anna", "run-3")
        with pytest.raises(ConflictError):
            avatars.confirm("anna", "run-2", version=current.version, **arguments)
