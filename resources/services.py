"""The Dagster resources that assets may request in their signatures.

Each is a thin configurable wrapper of a plain object in this package. Settings are read from the
environment when a run uses them, never at import; tests override resources in
`build_defs(resource_overrides=...)`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from resources.avatars.store import AvatarStore
from resources.engines.choice import Choice, choose_engine, face_mesh, models_of
from resources.engines.remote import choose_remote
from resources.engines.template_cache import TemplateCache
from resources.engines.template_users import TemplateUsers
from resources.home import Home
from resources.media_io import MediaIOManager
from resources.settings import current_settings
from resources.storage.objects import MediaStorage
from resources.stores import open_stores

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import AnimationEngine
    from sunriza_assets.studio.face.landmarks import FaceMesh

__all__ = [
    "Engines",
    "Listener",
    "MediaIO",
    "ProgressReporter",
    "Stores",
    "Templates",
]


Listener = Callable[[str, str, float], None]
"""Gets (avatar id, asset name, share done 0-1)."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


class Stores(dg.ConfigurableResource):
    """The avatar documents and the bucket, chosen by SUNRIZA_STORE (local by default)."""

    @property
    def home(self) -> Home:
        """SUNRIZA_HOME."""
        return Home.from_environment()

    @property
    def avatars(self) -> AvatarStore:
        """The store of avatar documents."""
        return open_stores().avatars

    @property
    def storage(self) -> MediaStorage:
        """The bucket."""
        return open_stores().storage


class MediaIO(dg.ConfigurableIOManagerFactory):
    """Makes the IO manager through which media assets hand on paths."""

    def create_io_manager(self, context: dg.InitResourceContext) -> MediaIOManager:
        """One manager per run."""
        return MediaIOManager(open_stores().storage, Home.from_environment())


class Engines(dg.ConfigurableResource):
    """Animation engines and face models, loaded once per process."""

    @property
    def models(self) -> Path:
        """The folder of model files: SUNRIZA_MODELS, else below SUNRIZA_HOME."""
        return Home.from_environment().models

    @property
    def faces(self) -> "FaceMesh":
        """The face mesh of this process."""
        return face_mesh(self.models)

    @property
    def face_identity(self) -> dict[str, str]:
        """Version and source hash of each face model: what decides which faces are found."""
        from sunriza_assets.studio.face.model_store import ModelStore

        store = ModelStore(self.models)
        return store.identity(*(entry.name for entry in store.entries()))

    def identity(self, engine: "AnimationEngine") -> dict[str, str]:
        """What decides an engine's output besides its inputs: version and hashes of models."""
        own = {"engine": engine.name, "engine_version": engine.version}
        if hasattr(engine, "billed_device"):  # remote: the models are on the remote machine
            return {**own, **engine.extraction_identity()}
        models = {entry.name: entry.sha256 or "" for entry in models_of(engine.name, self.models)}
        return {**own, **models, **engine.extraction_identity()}

    def choose(self, wanted: str) -> Choice:
        """The engine of this machine (`choose_engine`), or the remote one of SUNRIZA_MODAL_APP
        (`choose_remote`)."""
        app = current_settings().modal_app
        return choose_remote(app, wanted) if app else choose_engine(wanted, self.models)


class Templates(dg.ConfigurableResource):
    """The cache of motion templates; shared through the bucket unless the store is local."""

    @property
    def cache(self) -> TemplateCache:
        """The cache of this machine."""
        stores = open_stores()
        folder = Home.from_environment().cache / "templates"
        return TemplateCache(folder, stores.storage if stores.shared else None)

    @property
    def users(self) -> TemplateUsers:
        """Which avatars use which template."""
        return TemplateUsers(open_stores().storage)


class ProgressReporter(dg.ConfigurableResource):
    """Reports the progress of steps to a listener in this process, such as a progress bar.

    Dagster makes resources anew for every run, so the listener is kept in a context variable.
    """

    @staticmethod
    @contextmanager
    def reporting_to(listener: Listener | None) -> Iterator[None]:
        """Send the progress of what runs in this block and thread to a listener."""
        token = _listener.set(listener)
        try:
            yield
        finally:
            _listener.reset(token)

    def report(self, avatar_id: str, asset: str, share: float) -> None:
        """Call the listener, if there is one."""
        listener = _listener.get()
        if listener is not None:
            listener(avatar_id, asset, share)
