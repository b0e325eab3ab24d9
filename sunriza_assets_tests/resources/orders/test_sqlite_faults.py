"""What a file and its processes can suffer: kills, damage, full disks, forks, newer versions."""

import os
import random
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resources.orders.open import open_orders
from resources.orders.records import RateLimit
from resources.orders.sql.schema import SCHEMA_VERSION
from resources.orders.sqlite import SqliteOrders
from resources.settings import Settings
from sunriza_assets.errors import StoreError
from sunriza_assets_tests.resources.orders.order_makers import FREE, Clock, an_order, put
from sunriza_assets_tests.resources.orders.writer import (
    GRANTED,
    check_whole,
    last_words,
    start_writer,
)

TEN = RateLimit("reads", count=10, period_s=60.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service" / "service.db"


# Processes


def kill_writers(path: Path, rounds: int) -> Counter[str]:
    """Kill two writers at a random moment, again and again."""
    said: dict[str, str] = {}
    store = SqliteOrders(path)
    store.add_credits("anna", GRANTED)
    for number in range(rounds):
        children = [start_writer("work", str(path), f"{number}-{side}") for side in "ab"]
        for child in children:
            assert child.stdout is not None
            first = child.stdout.readline().split()
            said[first[1]] = first[0]
        time.sleep(random.uniform(0, 0.15))  # noqa: S311
        for child in children:
            child.kill()
        for child in children:
            said |= last_words(child)
        # Writers may have been killed while they held the database.
        put(store, "ben", request_id=f"ben-{number}")
        store.remove(store.request_cancel(store.page("ben").orders[0].order_id).order_id)
    states = check_whole(store, said)
    store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    return states


def test_kills_leave_nothing_half(path: Path) -> None:
    assert kill_writers(path, 2).total() > 2


@pytest.mark.slow
def test_many_kills_leave_nothing_half(path: Path) -> None:
    states = kill_writers(path, 20)
    assert {"done", "failed", "cancelled", "lost"} <= states.keys()


def test_fifty_equal_requests_from_processes_make_one_order(path: Path) -> None:
    store = SqliteOrders(path)
    store.add_credits("anna", GRANTED)
    children = [start_writer("offer", str(path), "same") for _ in range(3)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    said = [line for child in children for line in child.communicate(timeout=60)[0].splitlines()]
    assert len(said) == 51
    assert len(set(said)) == 1
    assert check_whole(store, {}) == {"accepted": 1}
    store.close()


def test_a_store_goes_on_in_a_forked_process(path: Path) -> None:
    store = SqliteOrders(path)
    put(store)
    store.position()
    child = os.fork()
    if child == 0:  # what fails here must not run the parent's clean-up
        try:
            put(store, "child")
            moved = store.position() == 2 and store.take("anna", TEN).allowed
            os._exit(0 if moved else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    put(store, "parent")
    assert len(store.unfinished()) == 3
    assert store.position() == 3
    store.close()


def test_threads_share_a_store(path: Path) -> None:
    store = SqliteOrders(path)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: put(store, f"owner-{number % 4}"), range(64)))
    assert len(store.unfinished()) == 64
    assert store.position() == 64
    store.close()


# Files


def test_only_its_user_can_read_it(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(0o644)
    store = SqliteOrders(path)
    put(store)
    store.take("anna", TEN)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert {"service.db", "service.db-wal", "rates.db"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    store.close()


def test_the_folder_is_made_for_its_user_alone(path: Path) -> None:
    SqliteOrders(path).close()
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_each_commit_is_synced(path: Path) -> None:
    store = SqliteOrders(path)
    with store._database.read() as transaction:
        assert transaction.run("pragma synchronous") == [(2,)]
        assert transaction.run("pragma journal_mode") == [("wal",)]
    with store._database.rates() as transaction:
        assert transaction.run("pragma synchronous") == [(0,)]
    store.close()


@pytest.mark.parametrize("spoiled", [b"no database at all" * 500, b"\0" * 5000])
def test_a_damaged_database_is_named(path: Path, spoiled: bytes) -> None:
    SqliteOrders(path).close()
    path.write_bytes(spoiled)
    with pytest.raises(StoreError) as refused:
        SqliteOrders(path)
    assert refused.value.code == "store.damaged"
    assert "backup" in str(refused.value)
    assert path.read_bytes() == spoiled


def test_a_database_damaged_inside_is_named(path: Path) -> None:
    store = SqliteOrders(path)
    for _ in range(100):
        put(store)
    store.close()
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreError) as refused:
        store = SqliteOrders(path)
        store.page(None)
        put(store)
    assert refused.value.code == "store.damaged"


def test_a_newer_database_is_left_alone(path: Path) -> None:
    SqliteOrders(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(StoreError) as refused:
        SqliteOrders(path)
    assert refused.value.code == "store.newer"
    assert "99" in str(refused.value)
    assert "Update" in str(refused.value)


def test_an_older_database_is_brought_up_to_date(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteOrders(path)
    order = put(store)
    store.close()
    module, now = "resources.orders.sql.sqlite_file", SCHEMA_VERSION
    monkeypatch.setattr(f"{module}.SCHEMA_VERSION", now + 2)
    steps = {
        now: ["alter table orders add column extra text"],
        now + 1: ["update orders set extra = 'x'"],
    }
    monkeypatch.setattr(f"{module}.MIGRATIONS", steps)
    store = SqliteOrders(path)
    assert store.get(order.order_id) == order
    assert store.take("anna", TEN).allowed
    with store._database.read() as transaction:
        assert transaction.run("select extra from orders") == [("x",)]
    store.close()
    with pytest.raises(StoreError):
        monkeypatch.setattr(f"{module}.SCHEMA_VERSION", now + 3)
        broken = {now + 2: ["drop table outputs", "nonsense"]}
        monkeypatch.setattr(f"{module}.MIGRATIONS", broken)
        SqliteOrders(path)
    monkeypatch.setattr(f"{module}.SCHEMA_VERSION", now + 2)
    assert SqliteOrders(path).expired_outputs() == []  # a step that fails has changed nothing


def test_a_database_without_consents_gets_them(path: Path) -> None:
    store = SqliteOrders(path)
    order = put(store)
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("drop table consents")
        connection.execute("pragma user_version = 1")
    connection.close()
    store = SqliteOrders(path)
    said = {"who": "Anna", "given_on": "2026-01-31", "statement": "yes"}
    consent = store.add_consent("anna", sample_sha256="0" * 64, **said)
    assert store.consents("anna") == [consent]
    assert store.get(order.order_id) == order
    store.close()


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("create table mine (x)")
    connection.close()
    with pytest.raises(StoreError) as refused:
        SqliteOrders(path)
    assert refused.value.code == "store.foreign"


def test_damaged_rates_are_made_anew(path: Path) -> None:
    store = SqliteOrders(path)
    store.take("anna", TEN, 10)
    store.close()
    rates = path.with_name("rates.db")
    rates.write_bytes(b"spoiled" * 1000)
    store = SqliteOrders(path)
    assert store.take("anna", TEN).allowed
    store.close()


def test_rates_that_vanish_are_made_anew(path: Path) -> None:
    store = SqliteOrders(path)
    store.take("anna", TEN, 10)
    for file in path.parent.glob("rates.db*"):
        file.unlink()
    assert store.take("anna", TEN, 10).allowed
    assert not store.take("anna", TEN).allowed
    store.close()


def test_a_database_that_vanishes_takes_no_more_orders(path: Path) -> None:
    store = SqliteOrders(path)
    put(store)
    path.rename(path.with_name("elsewhere.db"))
    for write in (lambda: put(store), store.check_writable):
        with pytest.raises(StoreError) as refused:
            write()
        assert refused.value.code == "store.replaced"
    store.close()


def test_a_full_disk_is_named_and_leaves_nothing_half(path: Path) -> None:
    store = SqliteOrders(path)
    put(store)
    with store._database.read() as transaction:
        # SQLite's own limit of pages fails where a full disk does.
        ((pages,),) = transaction.run("pragma page_count")
        transaction.run(f"pragma max_page_count = {pages}")
    with pytest.raises(StoreError) as refused:
        for _ in range(1000):
            put(store, inputs={"text": "x" * 10_000})
    assert refused.value.code == "store.full"
    count = len(store.unfinished())
    assert count == store.position()
    put(store)  # a connection that has failed is replaced, and with it the limit
    assert len(store.unfinished()) == count + 1
    store.close()


def test_a_writer_that_hangs_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.orders.sql.sqlite_file._PATIENCE_S", 0.1)
    store = SqliteOrders(path)
    order = put(store)
    hanging = sqlite3.connect(path, isolation_level=None)
    hanging.execute("begin immediate")
    with pytest.raises(StoreError) as refused:
        put(store)
    assert refused.value.code == "store.busy"
    assert store.get(order.order_id) == order
    hanging.close()
    put(store)
    store.close()


def test_a_clock_set_back_by_a_year_harms_no_order(path: Path) -> None:
    clock = Clock()
    store = SqliteOrders(path, now_ms=clock)
    first = put(store)
    store.close()
    clock.move(-86_400 * 400)
    store = SqliteOrders(path, now_ms=clock)
    second = store.accept(an_order(), quota=FREE).order
    assert store.page(None).orders == [second, first]
    assert store.sweep() == 0
    store.close()


# Settings


def test_the_store_is_below_the_home(tmp_path: Path) -> None:
    settings = Settings.model_validate({"SUNRIZA_HOME": str(tmp_path / "home")})
    store = open_orders(settings)
    put(store)
    assert open_orders(settings) is store
    home = tmp_path / "home"
    assert (home / "service" / "service.db").is_file()
    assert home.stat().st_mode & 0o777 == 0o700
    pushing = open_orders(settings.model_copy(update={"push": "fcm"}))
    assert pushing is not store
    store.close()
    pushing.close()


def test_a_wrong_address_is_named_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://anna:geheim@@@::1/x?y=z"
    settings = Settings.model_validate({"SUNRIZA_HOME": str(tmp_path), "SUNRIZA_ORDERS_URL": url})
    with pytest.raises(StoreError) as refused:
        open_orders(settings)
    assert refused.value.code == "store.address"
    assert "geheim" not in str(refused.value)
