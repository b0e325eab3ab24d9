"""Whether rendering an avatar would change anything, without loading the code location.

The manifest of the publication in place says what it was made from: portrait and clip by their
content, what was asked for, the versions of code, engine and models. Where all of this is what a
run would find now, and every object is there, a run would make nothing. Any doubt is a no, and the
run itself then looks at each asset.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from resources.avatars.document import AvatarDocument
from resources.engines.choice import select_engine_name
from resources.home import Home
from resources.publishing.publication import folder_of
from resources.settings import current_settings
from resources.storage.objects import MediaStorage
from resources.stores import open_stores
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest, sha256_of
from sunriza_assets.errors import SunrizaError
from sunriza_assets.graph.code_versions import CODE_VERSIONS
from sunriza_assets.studio.parameters import canonical, resolve
from sunriza_assets.studio.performances.builtin import motion_script, with_manner

__all__ = ["InPlace", "publication_for"]

_MAX_INPUT_BYTES = 50_000_000
_NOT_PUBLISHED = frozenset({"preview_page"})
"""Assets that a manifest cannot tell of: they are made after it."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """A publication that is the one a run would make."""

    manifest: Manifest
    """What made it."""
    folder: str
    """Where its objects lie."""
    urls: list[str]
    """Addresses of its objects."""


def publication_for(avatar_id: str, said: Mapping[str, Any]) -> InPlace | None:
    """The publication in place, if a run with these parameters would make the same.

    Args:
        said: parameters of the launchpad or the command line.

    Raises:
        AvatarError: there is no such avatar.
        ParameterError: a parameter, of the document too, is wrong.
    """
    stores = open_stores()
    document = stores.avatars.get(avatar_id)
    asked = canonical(document.wishes) | canonical(said)
    wanted = resolve(with_manner(document.performance, asked)).to_dict()
    current = document.record.current
    if current is None or not _is_settled(document):
        return None
    folder = f"{folder_of(avatar_id)}/{current.version}"
    try:
        with TemporaryDirectory(prefix="sunriza-") as name:
            scratch = Path(name)
            manifest = Manifest.load(stores.storage.fetch(f"{folder}/{MANIFEST_NAME}", scratch))
            same = (
                manifest.requested == wanted
                and _is_made_alike(manifest, str(wanted["engine"]))
                and _is_made_from(manifest, document, stores.storage, scratch)
            )
            urls = _urls(manifest, avatar_id, folder, stores.storage, scratch) if same else []
    except SunrizaError:  # whatever is wrong, a run will say
        return None
    return InPlace(manifest, folder, urls) if urls else None


def _is_settled(document: AvatarDocument) -> bool:
    """Whether nobody works on the avatar or waits for it, and it shows what is published."""
    current = document.record.current
    return (
        current is not None
        and document.record.state == document.status == "ready"
        and current.inputs_version == document.inputs_version
        and not document.needs_run
        and not document.needs_settling
    )


def _is_made_alike(manifest: Manifest, wanted: str) -> bool:
    """Whether code, engine and models are those that made it."""
    if current_settings().modal_app:  # what works elsewhere would have to be asked
        return False
    code = {step.asset: step.code_version for step in manifest.steps}
    needed = {asset: CODE_VERSIONS[asset] for asset in CODE_VERSIONS if asset not in _NOT_PUBLISHED}
    models = Home.from_environment().models
    engine, _ = select_engine_name(wanted, models)
    made_with = {model.name: model.sha256 for model in manifest.models}
    return (
        code == needed
        and manifest.engine == engine
        and manifest.engine_version == _version_of(engine)
        and made_with.items() <= _present(engine, models).items()
    )


def _version_of(engine: str) -> str:
    if engine == "mesh":
        from sunriza_assets.studio.engines.mesh.version import VERSION
    else:
        from sunriza_assets.studio.engines.liveportrait.template import VERSION
    return VERSION


def _present(engine: str, models: Path) -> dict[str, str]:
    """Name -> hash of the models that are there."""
    if engine != "mesh":
        from resources.engines.choice import models_of

        return {entry.name: entry.sha256 for entry in models_of(engine, models)}
    from sunriza_assets.studio.face.model_store import ModelStore

    return {entry.name: entry.sha256 for entry in ModelStore(models).entries() if entry.present}


def _is_made_from(
    manifest: Manifest, document: AvatarDocument, storage: MediaStorage, scratch: Path
) -> bool:
    """Whether portrait and clip have the content that it was made from."""

    def downloaded(url: str, name: str) -> str:
        return sha256_of(
            storage.resolve(
                url,
                scratch / name,
                avatar_id=document.avatar_id,
                max_bytes=_MAX_INPUT_BYTES,
            )
        )

    made_from = {item.name: item.sha256 for item in manifest.inputs}
    return made_from == {
        "hero_image": downloaded(document.hero_image_url, "hero_image"),
        "hero_video": downloaded(document.hero_video_url, "hero_video")
        if document.performance is None
        else hashlib.sha256(motion_script(document.performance).to_bytes()).hexdigest(),
    }


def _urls(
    manifest: Manifest, avatar_id: str, folder: str, storage: MediaStorage, scratch: Path
) -> list[str]:
    """Addresses of the published objects; none if one of them, or its plain copy, is not whole.

    A store on this machine is read; a bucket checks itself what it keeps.
    """
    shared, urls = open_stores().shared, []
    for item in manifest.outputs:
        stored = storage.stat(f"{folder}/{item.name}")
        plain = storage.stat(f"{folder_of(avatar_id)}/{item.name}")
        if stored is None or plain is None or (plain.size, plain.md5) != (item.size, stored.md5):
            return []
        if not shared:
            for name in (stored.name, plain.name):
                if sha256_of(storage.fetch(name, scratch)) != item.sha256:
                    return []
        urls.append(stored.url)
    return urls
