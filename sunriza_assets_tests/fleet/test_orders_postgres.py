"""`PostgresOrders` keeps the contract, through kills of writers and of the server."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from resources.orders.order import new_order_id
from resources.orders.postgres import PostgresOrders
from resources.orders.store import OrderStore
from sunriza_assets.errors import StoreError
from sunriza_assets_tests.fleet.servers import Postgres, wait_until
from sunriza_assets_tests.processes import free_port
from sunriza_assets_tests.resources.orders.order_laws import OrderLaws
from sunriza_assets_tests.resources.orders.order_lists_contract import OrderListsContract
from sunriza_assets_tests.resources.orders.order_makers import Clock, OpenStore, put
from sunriza_assets_tests.resources.orders.order_parts_contract import OrderPartsContract
from sunriza_assets_tests.resources.orders.orders_contract import OrdersContract
from sunriza_assets_tests.resources.orders.writer import (
    GRANTED,
    check_whole,
    last_words,
    start_writer,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    # Not below pytest's own folder, which the server's user may not enter.
    with TemporaryDirectory(prefix="orders-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "postgres")
        server.start()
        yield server
        server.stop(at_once=True)


def empty(server: Postgres) -> None:
    with closing(psycopg2.connect(server.url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("drop schema if exists sunriza cascade")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_store(server: Postgres, clock: Clock) -> OpenStore:
    empty(server)
    return partial(PostgresOrders, server.url, now_ms=clock)


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[OrderStore]:
    store = open_store()
    yield store
    store.close()


class TestPostgresOrders(OrdersContract, OrderListsContract, OrderPartsContract):
    pass


def test_a_database_without_consents_gets_them(open_store: OpenStore, server: Postgres) -> None:
    store = open_store()
    order = put(store)
    store.close()
    with closing(psycopg2.connect(server.url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "drop table sunriza.consents; alter table sunriza.orders drop column former;"
                " update sunriza.version set version = 1"
            )
    store = open_store()
    said = {"who": "Anna", "given_on": "2026-01-31", "statement": "yes"}
    consent = store.add_consent("anna", sample_sha256="0" * 64, **said)
    assert store.consents("anna") == [consent]
    assert store.get(order.order_id) == order
    store.close()


def test_laws_of_orders(server: Postgres) -> None:
    class PostgresLaws(OrderLaws):
        def open_store(self, clock: Clock) -> OrderStore:
            empty(server)
            return PostgresOrders(server.url, now_ms=clock)

    run_state_machine_as_test(
        PostgresLaws, settings=settings(max_examples=6, stateful_step_count=25, deadline=None)
    )


def test_fifty_equal_requests_from_processes_make_one_order(server: Postgres) -> None:
    empty(server)
    store = PostgresOrders(server.url)
    store.add_credits("anna", GRANTED)
    children = [start_writer("offer", server.url, "same") for _ in range(3)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    said = set()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        said |= set(child.communicate(timeout=60)[0].splitlines())
    assert len(said) == 1
    assert check_whole(store, {}) == {"accepted": 1}
    store.close()


@pytest.mark.parametrize(("victim", "rounds"), [("writers", 5), ("server", 4)])
def test_kills_leave_nothing_half(server: Postgres, victim: str, rounds: int) -> None:
    empty(server)
    said: dict[str, str] = {}
    store = PostgresOrders(server.url)
    store.add_credits("anna", GRANTED)
    for number in range(rounds):
        children = [start_writer("work", server.url, f"{number}-{side}") for side in "ab"]
        for child in children:
            assert child.stdout is not None
            first = child.stdout.readline().split()
            said[first[1]] = first[0]
        time.sleep(random.uniform(0, 0.5))  # noqa: S311
        if victim == "server":
            server.kill()
            with pytest.raises(StoreError) as broken:
                put(store, "ben")
            assert broken.value.code in {"store.unreachable", "store.uncertain"}
            with pytest.raises(StoreError):
                store.position()
            server.start()
        else:
            for child in children:
                child.kill()
        for child in children:
            said |= last_words(child)
        gone = put(store, "ben")  # by a new connection, without asking for one
        store.request_cancel(gone.order_id)
        store.remove(gone.order_id)
    assert check_whole(store, said).total() >= 2 * rounds
    store.close()


def test_changes_elsewhere_are_told(server: Postgres) -> None:
    """By a notification: without one the watch looks only once a second, and here never again."""
    empty(server)
    store, elsewhere = PostgresOrders(server.url), PostgresOrders(server.url)
    store._database._watch._clock = lambda: 1.0
    assert store.position() == 0
    for number in range(1, 20):
        put(elsewhere)
        wait_until("it is told", lambda wanted=number: store.position() == wanted, every_s=0.005)
    elsewhere.close()
    store.close()


def test_a_child_leaves_its_parents_connections_alone(server: Postgres) -> None:
    empty(server)
    store = PostgresOrders(server.url)
    put(store)
    store.position()
    child = os.fork()
    if child == 0:
        try:
            put(store, "child", order_id=new_order_id())
            os._exit(0 if store.position() == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    put(store, "parent")
    wait_until("it is seen", lambda: store.position() == 3, every_s=0.01)
    assert len(store.unfinished()) == 3
    store.close()


def test_many_open_a_new_database_at_once(server: Postgres) -> None:
    empty(server)
    failed: list[BaseException] = []

    def open_it() -> None:
        try:
            PostgresOrders(server.url).close()
        except StoreError as problem:
            failed.append(problem)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_newer_database_is_left_alone(server: Postgres) -> None:
    empty(server)
    PostgresOrders(server.url).close()
    with closing(psycopg2.connect(server.url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("update sunriza.version set version = 99")
    with pytest.raises(StoreError) as refused:
        PostgresOrders(server.url)
    assert refused.value.code == "store.newer"


def test_a_server_that_is_not_there_is_named() -> None:
    store = PostgresOrders(f"postgresql://anna:geheim@127.0.0.1:{free_port()}/x")
    for method in (store.position, store.unfinished, store.check_writable):
        with pytest.raises(StoreError) as refused:
            method()
        assert refused.value.code == "store.unreachable"
        assert "geheim" not in str(refused.value)
        assert "127.0.0.1" in str(refused.value)


def test_a_store_that_was_opened_without_its_server_goes_on_with_it(server: Postgres) -> None:
    empty(server)
    server.stop()
    store = PostgresOrders(server.url)
    with pytest.raises(StoreError):
        store.unfinished()
    server.start()
    put(store)
    assert store.position() == 1
    store.close()


def test_a_server_that_refuses_is_not_waited_for(server: Postgres) -> None:
    with pytest.raises(StoreError) as refused:
        PostgresOrders(server.url.replace("sunriza@", "nobody@"))
    assert refused.value.code == "store.refused"


def test_a_missing_driver_is_named() -> None:
    program = (
        "import sys; sys.modules['psycopg2'] = None\n"
        "from resources.orders.postgres import PostgresOrders\n"
        "from sunriza_assets.errors import StoreError\n"
        "try: PostgresOrders('postgresql://x/y')\n"
        "except StoreError as problem: print(problem.code, problem)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.startswith("store.driver ")
    assert "pip install" in told.stdout
