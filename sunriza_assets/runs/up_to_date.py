"""Whether rendering an avatar would change anything, without loading the code location.

The manifest of the current publication has the hashes of portrait and clip, the requested
parameters, and the versions of code, engine and models. If all of them are what a run would use
now, and every object exists, a run would make nothing. In doubt the answer is no, and a run then
compares asset by asset.
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
from resources.publishing.marked_files import are_marked_as_wanted
from resources.publishing.publication import folder_of
from resources.settings import current_settings
from resources.storage.objects import MediaStorage
from resources.stores import open_stores
from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest, sha256_of
from sunriza_assets.errors import SunrizaError
from sunriza_assets.graph.code_versions import CODE_VERSIONS
from sunriza_assets.studio.parameters import canonical, resolve
from sunriza_assets.studio.performances.builtin import motion_script
from sunriza_assets.studio.performances.named import with_performance_defaults

__all__ = ["CurrentPublication", "unchanged_publication"]

_MAX_INPUT_BYTES = 50_000_000
_NOT_IN_MANIFEST = frozenset({"preview_page"})
"""Assets that a manifest does not contain: they are made after it."""


@dataclass(frozen=True, slots=True)
class CurrentPublication:
    """The current publication, if it is what a run would make."""

    manifest: Manifest
    """What made it."""
    folder: str
    """Folder of its objects."""
    urls: list[str]
    """Addresses of its objects."""


def unchanged_publication(
    avatar_id: str, overrides: Mapping[str, Any]
) -> CurrentPublication | None:
    """The current publication, if a run with these parameters would make the same; else None.

    Args:
        overrides: parameters of the launchpad or the command line.

    Raises:
        AvatarError: there is no such avatar.
        ParameterError: a parameter, of the document too, is wrong.
    """
    stores = open_stores()
    document = stores.avatars.get(avatar_id)
    requested = canonical(document.wishes) | canonical(overrides)
    wanted = resolve(with_performance_defaults(document.performance, requested)).to_dict()
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
                and are_marked_as_wanted(manifest.outputs)
                and _has_current_code(manifest, str(wanted["engine"]))
                and _has_same_inputs(manifest, document, stores.storage, scratch)
            )
            urls = _urls(manifest, avatar_id, folder, stores.storage, scratch) if same else []
    except SunrizaError:  # a run will report the error
        return None
    return CurrentPublication(manifest, folder, urls) if urls else None


def _is_settled(document: AvatarDocument) -> bool:
    """Whether no run works on the avatar or is due, and its document shows what is published."""
    current = document.record.current
    return (
        current is not None
        and document.record.state == document.status == "ready"
        and current.inputs_version == document.inputs_version
        and not document.needs_run
        and not document.needs_settling
    )


def _has_current_code(manifest: Manifest, wanted: str) -> bool:
    """Whether code, engine and models are the current ones."""
    if current_settings().modal_app:  # the versions of a remote engine are not known here
        return False
    code = {step.asset: step.code_version for step in manifest.steps}
    needed = {
        asset: CODE_VERSIONS[asset] for asset in CODE_VERSIONS if asset not in _NOT_IN_MANIFEST
    }
    models = Home.from_environment().models
    engine, _ = select_engine_name(wanted, models)
    made_with = {model.name: model.sha256 for model in manifest.models}
    return (
        code == needed
        and manifest.engine == engine
        and manifest.engine_version == _version_of(engine)
        and made_with.items() <= _model_hashes(engine, models).items()
    )


def _version_of(engine: str) -> str:
    if engine == "mesh":
        from sunriza_assets.studio.engines.mesh.version import VERSION
    else:
        from sunriza_assets.studio.engines.liveportrait.template import VERSION
    return VERSION


def _model_hashes(engine: str, models: Path) -> dict[str, str]:
    """Name -> hash of the models that are present."""
    if engine != "mesh":
        from resources.engines.choice import models_of

        return {entry.name: entry.sha256 for entry in models_of(engine, models)}
    from sunriza_assets.studio.face.model_store import ModelStore

    return {entry.name: entry.sha256 for entry in ModelStore(models).entries() if entry.present}


def _has_same_inputs(
    manifest: Manifest, document: AvatarDocument, storage: MediaStorage, scratch: Path
) -> bool:
    """Whether portrait and clip still have the content that the publication was made from."""

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

    Objects of a local store are read and hashed; a bucket verifies its own.
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
