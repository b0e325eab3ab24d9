"""A service with two users, their API keys and real local stores."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.publishing.publication import publish_avatar
from resources.publishing.versions import publish_draft
from resources.storage.local import LocalStorage
from resources.stores import OpenStores
from sunriza_assets.costs.manifest import Manifest, ManifestStep, file_fact
from sunriza_assets.service.auth.keys import make_key
from sunriza_assets.service.context import Service
from sunriza_assets.studio.parameters import DEFAULTS
from sunriza_assets_tests.service.serving import make_service, serving

NAMES = (
    "idle.mp4", "atlas.jpg", "mask.png", "atlas.json", "roi.json", "poster.jpg", "thumbnail.jpg",
    "idle_chunks/heroImage_chunk.jpg", "idle_chunks/idle_chunk1.mp4", "idle_chunks/idle_chunk2.mp4",
)  # fmt: skip
UNUSED_TLS = ssl.create_default_context()
"""Made once: every client would load all certificates."""
LIMITLESS = {
    "SUNRIZA_READS_PER_MINUTE": "100000",
    "SUNRIZA_JOBS_PER_MINUTE": "100000",
    "SUNRIZA_RENDERS_PER_MINUTE": "100000",
}


@dataclass
class World:
    """A running service, and what lies behind it."""

    service: Service
    url: str
    folder: Path

    @property
    def avatars(self) -> LocalAvatars:
        found = self.service.stores.avatars
        assert isinstance(found, LocalAvatars)
        return found

    def client(
        self, user: str | None, scopes: tuple[str, ...] = ("jobs", "render")
    ) -> httpx.Client:
        """An HTTP client with an API key of this user; None: without one."""
        headers = {}
        if user is not None:
            text, key = make_key(user, scopes, "test")
            self.service.orders.add_key(key)
            headers["Authorization"] = f"Bearer {text}"
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=60, trust_env=False, verify=UNUSED_TLS
        )

    def add(self, avatar_id: str, owner: str | None, **fields: Any) -> None:
        """An avatar with a portrait and a clip."""
        portrait = self.folder / "portrait.jpg"
        portrait.write_bytes(b"\xff\xd8\xff portrait")
        stored = self.service.stores.storage.put(portrait, f"avatars/{avatar_id}/images/hero.jpg")
        self.avatars.create(
            avatar_id,
            {
                "name": avatar_id.title(),
                "avatarImageUrl": stored.url,
                "training": {"heroImageUrl": stored.url, "performance": "calm"},
            }
            | ({} if owner is None else {"userId": owner})
            | fields,
        )

    def files(self, avatar_id: str, run_id: str, **parameters: Any) -> dict[str, Path]:
        """What a run makes, with its manifest."""
        folder = self.folder / run_id
        files = {name: folder / name for name in NAMES}
        for name, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{run_id} {name}".encode())
        effective = (DEFAULTS | parameters).to_dict()
        facts = {
            "wall_s": 12.5, "cost": 0.25, "cost_currency": "USD", "price_book": "test",
            "device": "A CPU", "device_kind": "cpu",
        }  # fmt: skip
        manifest = Manifest(
            avatar_id=avatar_id,
            run_id=run_id,
            made_at=datetime.now(UTC),
            package_version="1",
            engine="mesh",
            engine_version="7",
            parameters=effective,
            inputs=[file_fact(folder / "idle.mp4", "hero_image")],
            outputs=[file_fact(path, name) for name, path in files.items()],
            steps=[
                ManifestStep("idle_video", run_id, "1", facts=facts),
                ManifestStep("published_avatar", run_id, "1", {"idle_video": "1"}, facts=facts),
            ],
        )
        manifest.save(folder / "manifest.json")
        return files | {"manifest.json": folder / "manifest.json"}

    def publish(self, avatar_id: str, run_id: str, **parameters: Any) -> str:
        """A whole run; returns its version."""
        wishes = {"dynamics": {"basic": {"parameters": (DEFAULTS | parameters).to_document()}}}
        self.avatars.merge(avatar_id, wishes)
        self.avatars.claim(avatar_id, run_id)
        document = publish_avatar(
            self.service.stores.storage,
            self.avatars,
            avatar_id,
            run_id,
            files=self.files(avatar_id, run_id, **parameters),
            parameters=(DEFAULTS | parameters).to_document(),
            overridden={},
        )
        assert document.record.current
        return document.record.current.version

    def draft(self, avatar_id: str, run_id: str, **parameters: Any) -> str:
        """A draft; returns its version."""
        return publish_draft(
            self.service.stores.storage,
            self.avatars,
            avatar_id,
            run_id,
            files=self.files(avatar_id, run_id, **parameters),
        )


@contextmanager
def studio_world(folder: Path, *, open_mode: bool = False, **settings: str) -> Iterator[World]:
    """A service on its own home until the block ends."""
    home = folder / "home"
    service = make_service(home, open_mode=open_mode, **{**LIMITLESS, **settings})
    service.stores = OpenStores(LocalAvatars(Home(home)), LocalStorage(Home(home)), shared=False)
    made = folder / "made"
    made.mkdir()
    with serving(service) as served:
        yield World(service, served.url, made)
