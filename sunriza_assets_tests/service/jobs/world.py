"""A service with real stores behind a real server, and the users who call it.

Nobody works on its orders: tests change them the way the dispatcher does.
"""

import shutil
import sqlite3
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.orders.order import Order
from resources.orders.sqlite import SqliteOrders
from resources.settings import Settings
from resources.storage.local import LocalStorage
from resources.stores import OpenStores
from sunriza_assets.service.app import create_app
from sunriza_assets.service.auth.keys import make_key
from sunriza_assets.service.context import Service
from sunriza_assets_tests.service.serving import StillEngine, running

# Loading certificates takes longer than most tests.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
INPUTS: dict[str, Any] = {
    "avatarImageUrl": "avatars/anna/images/hero.png",
    "training": {"heroVideoUrl": "avatars/anna/videos/clip.mp4"},
}


@dataclass
class TrimmingEngine(StillEngine):
    """An engine process whose cut clip is the first bytes of the clip."""

    asked: list[tuple[Path, float, float]] = field(default_factory=list)
    problem: Exception | None = None

    async def trim(
        self,
        clip: Path,
        start_s: float,
        end_s: float,
        destination: Path,
        *,
        owner: str | None = None,
    ) -> int:
        self.asked.append((clip, start_s, end_s))
        if self.problem is not None:
            raise self.problem
        destination.write_bytes(b"cut " + clip.read_bytes())
        return 25


@dataclass
class World:
    """A running service."""

    service: Service
    port: int
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def orders(self) -> SqliteOrders:
        assert isinstance(self.service.orders, SqliteOrders)
        return self.service.orders

    @property
    def avatars(self) -> LocalAvatars:
        assert isinstance(self.service.stores.avatars, LocalAvatars)
        return self.service.stores.avatars

    @property
    def engine(self) -> TrimmingEngine:
        assert isinstance(self.service.engine, TrimmingEngine)
        return self.service.engine

    def token(self, user: str) -> str:
        """An API key of a user."""
        if user not in self.keys:
            self.keys[user], key = make_key(user, ["jobs", "render"], "test")
            self.orders.add_key(key)
        return self.keys[user]

    def client(self, user: str | None = "alice") -> httpx.Client:
        headers = {} if user is None else {"Authorization": f"Bearer {self.token(user)}"}
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=60, trust_env=False, verify=_NO_CERTIFICATES
        )

    def add_avatar(self, avatar_id: str = "anna", user: str = "alice", **fields: Any) -> None:
        self.avatars.merge(avatar_id, INPUTS | {"userId": user} | fields)

    def make_job(self, avatar_id: str = "anna", user: str = "alice", **body: Any) -> str:
        """The id of a new job."""
        with self.client(user) as client:
            answer = client.post("/generate-dynamics", json={"avatar_id": avatar_id, **body})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["job_id"])

    def order(self, job_id: str) -> Order:
        order = self.orders.get(job_id)
        assert order is not None
        return order

    def clear(self) -> None:
        """Remove avatars, objects and jobs; a running server goes on."""
        home = self.service.home
        for folder in (home.avatars, home.storage):
            shutil.rmtree(folder, ignore_errors=True)
        with closing(sqlite3.connect(home.root / "service" / "service.db")) as database, database:
            for table in ("orders", "answers", "acceptances", "notices", "deliveries", "accounts"):
                database.execute(f"delete from {table}")  # noqa: S608
        self.engine.asked.clear()
        self.engine.problem = None

    def change(self, job_id: str, **changes: Any) -> Order:
        """Change an order as the dispatcher does."""
        return self.orders.change(self.order(job_id), **changes)


@contextmanager
def world(
    root: Path,
    *,
    open_mode: bool = False,
    now_ms: Callable[[], int] | None = None,
    stores: OpenStores | None = None,
    **settings: str,
) -> Iterator[World]:
    """A service on a home of its own; settings by their environment variables.

    Args:
        now_ms: the clock of the store of orders.
        stores: of avatars and objects, other than those below the home.
    """
    home = Home(root)
    home.make()
    clock = {} if now_ms is None else {"now_ms": now_ms}
    orders = SqliteOrders(root / "service" / "service.db", **clock)
    values = {"SUNRIZA_HOME": str(root), "SUNRIZA_AUTH": "off" if open_mode else "required"}
    service = Service(
        settings=Settings.from_environment(values | settings),
        home=home,
        orders=orders,
        stores=stores or OpenStores(LocalAvatars(home), LocalStorage(home), shared=False),
        engine=TrimmingEngine(),
        open_mode=open_mode,
    )
    try:
        with running(create_app(service)) as port:
            yield World(service, port)
    finally:
        orders.close()
