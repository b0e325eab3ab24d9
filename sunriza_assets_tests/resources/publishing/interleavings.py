"""Runs, sensors, clients and readers of one avatar in every order, one store operation at a time.

Each actor is a thread that stops before and after every operation of a store; a scheduler with a
seed decides who goes on, and which run is killed there and then. So the real code runs in an order
that can be repeated, and what must always hold is looked at between any two operations.
"""

import contextlib
import copy
import random
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from resources.avatars.document import AvatarDocument
from resources.avatars.store import AvatarStore
from resources.publishing.publication import Retention, folder_of, publish_avatar, tidy
from resources.publishing.versions import republish
from resources.storage.objects import MediaStorage
from sunriza_assets.errors import AvatarError, ConflictError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS, Client
from sunriza_assets_tests.resources.publishing.publications import (
    AT_ONCE,
    DAY,
    NAMES,
    files_of,
    versions_seen,
)

_KILLED_AT = 0.015
"""Chance that a run is killed at one stop."""
_PATIENCE_S = 60.0


class Killed(BaseException):
    """The process of a run is gone."""


class Scheduler:
    """Lets one actor at a time go one step on."""

    def __init__(self, seed: int) -> None:
        self.luck = random.Random(seed)  # noqa: S311  an order that can be repeated
        self.errors: list[BaseException] = []
        self._turns: dict[threading.Thread, threading.Event] = {}
        self._mortal: set[threading.Thread] = set()
        self._watching: set[threading.Thread] = set()
        self._parked = threading.Event()
        self.kills = True

    def start(
        self, work: Callable[[], None], *, mortal: bool = False, watches: bool = False
    ) -> None:
        """Add an actor; it goes nowhere before it is chosen.

        Args:
            mortal: it may be killed at any stop.
            watches: it goes on as long as others do something.
        """

        def body() -> None:
            me = threading.current_thread()
            try:
                self._wait()
                work()
            except Killed:
                pass
            except BaseException as error:  # noqa: BLE001  it is raised again where the test waits
                self.errors.append(error)
            finally:
                del self._turns[me]
                self._parked.set()

        thread = threading.Thread(target=body, daemon=True)
        self._turns[thread] = threading.Event()
        if mortal:
            self._mortal.add(thread)
        if watches:
            self._watching.add(thread)
        thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether an actor other than the observers is still running."""
        return bool(self._turns.keys() - self._watching)

    def dawdle(self) -> None:
        """Called by an actor: let the others go on for a random while."""
        for _ in range(self.luck.randrange(25)):
            self.stop_here()

    def stop_here(self) -> None:
        """Called by an actor: let others go on; a mortal one may die here."""
        me = threading.current_thread()
        if me not in self._turns:  # the test itself
            return
        self._parked.set()
        self._wait()
        if self.kills and me in self._mortal and self.luck.random() < _KILLED_AT:
            raise Killed

    def run(self) -> None:
        """Run all actors to their end, in random order."""
        while self._turns and not self.errors:
            thread = self.luck.choice(list(self._turns))
            self._parked.clear()
            self._turns[thread].set()
            if not self._parked.wait(_PATIENCE_S):
                raise TimeoutError("an actor hangs in an operation")
        if self.errors:
            raise self.errors[0]

    def _wait(self) -> None:
        turn = self._turns[threading.current_thread()]
        turn.wait()
        turn.clear()


class Stepwise:
    """A store that pauses its actor around every operation and reports it to an observer."""

    def __init__(
        self,
        store: object,
        scheduler: Scheduler,
        note: Callable[[str, tuple[Any, ...], Any], None] = lambda *_: None,
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._note = note

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)

        def step(*args: Any, **keywords: Any) -> Any:
            self._scheduler.stop_here()
            result = operation(*args, **keywords)
            result = list(result) if name == "list" else result
            self._note(name, args, result)
            self._scheduler.stop_here()
            return result

        return step


class World:
    """One avatar, all actors that work on it, and what they have observed."""

    def __init__(
        self,
        seed: int,
        *,
        avatars: AvatarStore,
        storage: MediaStorage,
        client: Client,
        opened: Callable[[str], bytes | None],
        folder: Path,
        retention: Retention = DAY,
        republishes: bool = False,
    ) -> None:
        self.scheduler = Scheduler(seed)
        self.luck = self.scheduler.luck
        self._true_avatars, self._true_storage = avatars, storage
        self.avatars: Any = Stepwise(avatars, self.scheduler, self._watch)
        self.storage: Any = Stepwise(storage, self.scheduler)
        self.client: Any = Stepwise(client, self.scheduler, self._record_operation)
        self._opened = opened
        self._folder = folder
        self._keep = retention
        self._republishes = republishes
        self._runs = 0
        self._asked: set[str] = set()
        self._claimed: AvatarDocument | None = None
        self._answered = True
        self._wanted: dict[str, Any] = {}
        self._overtaken: set[str] = set()
        self._meant: dict[int, dict[str, Any]] = {}
        self.published: list[str] = []
        self.killed: list[tuple[str, str | None]] = []

    def play(self) -> None:
        """Run all actors, then run the sensor until the avatar is settled."""
        self._true_avatars.merge("anna", INPUTS)
        for _ in range(self.luck.randint(1, 3)):
            self.start_run()
        for actor in (self._app, self._app, self._sensor, self._janitor):
            self.scheduler.start(actor)
        if self._republishes:
            self.scheduler.start(self._owner, mortal=True)
        for _ in range(2):
            self.scheduler.start(self._reader, watches=True)
        self.scheduler.run()
        self.scheduler.kills = False
        for _ in range(30):
            document = self._true_avatars.get("anna")
            if not (document.needs_run or document.needs_settling or self.killed):
                break
            self.scheduler.start(self._tick)
            self.scheduler.run()
        self._at_rest()

    def start_run(self, requested_inputs: str | None = None) -> None:
        """A run of the whole graph, as far as the stores see it."""
        self._runs += 1
        run_id = f"run-{self._runs}"
        fails = self.luck.random() < 0.15

        def work() -> None:
            try:
                for percent in (10, 40, 70):  # every step of a run claims anew
                    wishes = self.avatars.claim("anna", run_id).wishes
                    self.avatars.progress("anna", run_id, percent)
                if fails:
                    self.avatars.fail("anna", run_id, code="face.none", message="No face.")
                    return
                publish_avatar(
                    self.storage,
                    self.avatars,
                    "anna",
                    run_id,
                    files=files_of(self._folder, run_id),
                    parameters={"fps": 25, "drivingMultiplier": 1.0} | wishes,
                    overridden={},
                    retention=self._keep,
                )
                self.published.append(run_id)
            except ConflictError:
                return
            except Killed:
                self.killed.append((run_id, requested_inputs))
                raise

        self.scheduler.start(work, mortal=True)

    def _tick(self) -> None:
        """What the sensors do: see to killed runs, settle, ask for runs."""
        while self.killed:
            run_id, requested_inputs = self.killed.pop()
            failure = {"code": "run.failed", "message": "The run stopped."}
            self.avatars.fail("anna", run_id, **failure, requested_inputs=requested_inputs)
        for change in self.avatars.scan("", 10):
            if change.document.needs_settling:
                self.avatars.settle("anna")
            key = f"{change.document.inputs_version}:{change.document.update_time}"
            if change.document.needs_run and key not in self._asked:
                self._asked.add(key)
                self.start_run(change.document.inputs_version)

    def _sensor(self) -> None:
        for _ in range(self.luck.randint(2, 6)):
            self.scheduler.dawdle()
            self._tick()

    def _watch(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        """Between two steps everything stands still, so this sees the order that counts."""
        if name in ("claim", "fail"):  # a run that died unborn claims and fails in one
            document = self._true_avatars.get("anna")
            if self._claimed is None or document.record.claims > self._claimed.record.claims:
                self._claimed, self._answered = document, True
        if name == "claim" and result.record.state == "generating":
            assert result.run_id == args[1], "a run was given what another owns"
            assert args[1] not in self._overtaken, "a run that was overtaken came back"
            self._overtaken |= set(result.record.earlier)
        if name == "publish":
            assert self._claimed
            assert self._claimed.run_id == args[1], "a run that was overtaken has published"

    def _janitor(self) -> None:
        for _ in range(self.luck.randint(1, 4)):
            self.scheduler.dawdle()
            tidy(self.storage, self.avatars, "anna", retention=self._keep)

    def _save(self, fields: dict[str, Any], **wanted: Any) -> None:
        """The client writes; what it wants now must be true in the end."""
        self._meant[id(fields)] = wanted
        self.client.save("anna", fields)

    def _record_operation(self, name: str, args: tuple[Any, ...], _: Any) -> None:
        """What a client wants, from the moment it is written; old copies take it back unawares."""
        if name == "read":
            return
        wanted = self._meant.pop(id(args[1]), None)
        if wanted is None:
            self._wanted, self._answered = {}, True
        else:
            self._wanted |= wanted
            # Asking for what is in place, or at work, is answered already.
            has_request = self._true_avatars.get("anna").has_open_request
            self._answered = not has_request or (self._answered and "status" not in wanted)

    def _app(self) -> None:
        """A client that keeps old copies, and saves them when it likes."""
        copies: list[dict[str, Any]] = []
        for _ in range(self.luck.randint(2, 8)):
            self.scheduler.dawdle()
            match self.luck.randrange(9):
                case 0 | 1:
                    copies.append(copy.deepcopy(self.client.read("anna")))
                case 2 if copies:
                    stale = self.luck.choice(copies)
                    self.client.save("anna", {"dynamics": stale.get("dynamics", {})})
                case 3 if copies:
                    self.client.save("anna", self.luck.choice(copies))
                case 4 | 5:
                    picture = f"https://example.com/{self.luck.choice('abc')}.jpg"
                    self._save({"avatarImageUrl": picture}, picture=picture)
                case 6:
                    fps = self.luck.choice([24, 25, 30])
                    self._save({"dynamics": {"basic": {"parameters": {"fps": fps}}}}, fps=fps)
                case 7:
                    self._save({"dynamics": {"basic": {"status": "pending"}}}, status="pending")
                case 8 if copies and self.luck.random() < 0.3:
                    self.client.replace("anna", INPUTS | {"updatedAt": 1})

    def _owner(self) -> None:
        """A person who puts older versions in place again."""
        for _ in range(self.luck.randint(2, 6)):
            self.scheduler.dawdle()
            versions = [one.version for one in self._true_avatars.get("anna").record.published]
            if versions:
                chosen = self.luck.choice(versions)
                with contextlib.suppress(AvatarError, ConflictError):
                    republish(self.storage, self.avatars, "anna", chosen, self._folder)

    def _reader(self) -> None:
        """The player: it reads the document, and its files a while later."""
        while self.scheduler.is_busy:
            self.scheduler.dawdle()
            basic = (self.client.read("anna").get("dynamics") or {}).get("basic") or {}
            if self._keep.replaced > timedelta(0):
                self._whole(basic, pause=self.scheduler.stop_here)

    def _whole(self, basic: Mapping[str, Any], pause: Callable[[], None]) -> set[str | None]:
        def opened(url: str) -> bytes | None:
            pause()
            return self._opened(url)

        seen = versions_seen(basic, opened)
        versions = set(seen.values())
        assert None not in versions, f"a URL answers 404: {seen}"
        assert len(versions) <= 1, f"a document mixes versions: {seen}"
        return versions

    def _at_rest(self) -> None:
        """Nobody does anything any more: what must be true now."""
        document = self._true_avatars.get("anna")
        record = document.record
        assert not document.needs_run
        assert not document.needs_settling
        assert document.status in ("ready", "error")
        versions = self._whole(document.basic, pause=lambda: None)
        current = record.current
        assert versions == ({current.run_id} if current else set())
        if not self._republishes:  # else their owner has decided
            self._check_wishes(document)
        tidy(self._true_storage, self._true_avatars, "anna", retention=AT_ONCE)
        assert self._whole(document.basic, pause=lambda: None) == versions
        names = [one.name for one in self._true_storage.list(folder_of("anna"))]
        assert len(names) == (2 * len(NAMES) if current else 0), "something was left behind"
        for name in NAMES if current else ():
            plain = self._true_storage.stat(f"{folder_of('anna')}/{name}")
            assert plain
            assert current
            assert self._opened(plain.url) == f"{current.run_id} {name}".encode()

    def _check_wishes(self, document: AvatarDocument) -> None:
        record = document.record
        assert record.last_run_covers(document.inputs_version)
        assert self._answered, "a request was lost"
        if "picture" in self._wanted:
            assert document.hero_image_url == self._wanted["picture"], "a picture was lost"
        if "fps" in self._wanted:
            assert document.wishes["fps"] == self._wanted["fps"], "a wish was lost"
        assert self._claimed
        assert self._claimed.hero_image_url == document.hero_image_url, "a change was overlooked"
        assert self._claimed.wishes.get("fps", 25) == document.wishes.get("fps", 25)
        owners = [entry.run_id for entry in record.published]
        assert len(owners) == len(set(owners)), "a run has published twice"
        assert set(self.published) <= set(owners), "a publication was lost"
