"""Adding avatars and changing their inputs: what the command line and the service share.

Inputs are uploaded first, each under a name of its own, and named in the document by one write. So
an interrupted call leaves at most an upload that nothing refers to; it goes with its avatar.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resources.avatars.document import DYNAMICS_ID, AvatarDocument
from resources.avatars.ids import checked_avatar_id
from resources.avatars.store import AvatarStore, id_in_use
from resources.storage.objects import MediaStorage
from sunriza_assets.atomic import store_errors
from sunriza_assets.errors import ParameterError
from sunriza_assets.studio.media.sniff import HEAD_BYTES, SUFFIXES, sniff
from sunriza_assets.studio.parameters import RenderParameters, camel_name, canonical
from sunriza_assets.studio.performances.named import DEFAULT_PERFORMANCE, checked_performance

__all__ = ["AvatarInputs", "add_or_replace", "change_avatar", "create_avatar", "new_avatar_id"]


@dataclass(frozen=True, slots=True)
class AvatarInputs:
    """What an avatar is made of; what is None is left as it is."""

    portrait: Path | None = None
    """A picture."""
    clip: Path | None = None
    """A talking clip."""
    performance: str | None = None
    """A built-in performance in the clip's place."""
    name: str | None = None
    """What people call it."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Render parameters by any of their names."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of `training`."""

    def check(self) -> None:
        """Check what can be checked without the files.

        Raises:
            AvatarError: there is no such performance.
            ParameterError: both a clip and a performance, or a wrong parameter.
        """
        if self.performance is not None:
            checked_performance(self.performance)
        if self.performance is not None and self.clip is not None:
            raise ParameterError(
                f"Both a clip and the performance {self.performance} are to move the avatar",
                remedy="Leave out one of the two.",
            )
        self.wishes()

    def wishes(self) -> dict[str, Any]:
        """The parameters as a document carries them.

        Raises:
            ParameterError: one is unknown or out of its range.
        """
        asked = canonical(self.parameters)
        given = RenderParameters(**asked).to_document()
        return {camel_name(name): given.get(camel_name(name)) for name in asked}


def new_avatar_id() -> str:
    """An id that nothing has: `av_` and 20 random characters."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    return "av_" + "".join(secrets.choice(alphabet) for _ in range(20))


def create_avatar(
    avatars: AvatarStore,
    storage: MediaStorage,
    avatar_id: str,
    inputs: AvatarInputs,
    *,
    owner: str | None,
) -> AvatarDocument:
    """Create an avatar with a portrait, moved by its clip, or by a performance.

    Raises:
        AvatarError: the id is none or cannot be used, or there is no such performance.
        ConflictError: the id is in use.
        ParameterError: see `AvatarInputs.check`.
        StoreError: something cannot be written.
    """
    checked_avatar_id(avatar_id)
    inputs.check()
    avatars.check_free(avatar_id, owner)  # before anything is uploaded
    if avatars.present([avatar_id]):
        raise id_in_use(avatar_id)
    fields = _fields(storage, avatar_id, inputs, performance=DEFAULT_PERFORMANCE)
    fields["name"] = inputs.name or avatar_id
    if owner is not None:
        fields["userId"] = owner
    return avatars.create(avatar_id, fields)


def change_avatar(
    avatars: AvatarStore,
    storage: MediaStorage,
    avatar_id: str,
    inputs: AvatarInputs,
    *,
    owner: str | None,
) -> AvatarDocument:
    """Change what is given of an avatar; parameters are added to those it has.

    Raises:
        AvatarError: there is no such avatar of this owner, or no such performance.
        ParameterError: see `AvatarInputs.check`.
        StoreError: something cannot be written.
    """
    inputs.check()
    return avatars.update(avatar_id, _fields(storage, avatar_id, inputs), owner=owner)


def add_or_replace(
    avatars: AvatarStore, storage: MediaStorage, avatar_id: str, inputs: AvatarInputs
) -> AvatarDocument:
    """Create an avatar, or replace its inputs; a clip or performance that it has may stay.

    Raises:
        AvatarError: the id is none or cannot be used, or there is no such performance.
        ParameterError: see `AvatarInputs.check`.
        StoreError: something cannot be written.
    """
    checked_avatar_id(avatar_id)
    inputs.check()
    avatars.check_free(avatar_id)
    is_new = avatar_id not in avatars.present([avatar_id])
    needs_source = is_new or not avatars.get(avatar_id).has_motion_source
    fields = _fields(
        storage, avatar_id, inputs, performance=DEFAULT_PERFORMANCE if needs_source else None
    )
    if is_new and not inputs.name:
        fields["name"] = avatar_id
    return avatars.merge(avatar_id, fields)


def _fields(
    storage: MediaStorage, avatar_id: str, inputs: AvatarInputs, *, performance: str | None = None
) -> dict[str, Any]:
    """The fields to merge into the document; files are uploaded.

    Args:
        performance: what moves it if `inputs` names neither a clip nor a performance.
    """
    mark = f"{time.time_ns() // 1_000_000}_{secrets.token_hex(4)}"
    fields: dict[str, Any] = {"avatarId": avatar_id}
    training: dict[str, Any] = dict(inputs.training)
    if inputs.portrait is not None:
        picture = storage.put(
            inputs.portrait,
            f"avatars/{avatar_id}/images/hero_{mark}{_suffix(inputs.portrait)}",
        )
        fields["avatarImageUrl"] = picture.url
        training |= {"heroImageUrl": picture.url, "imageUrls": [picture.url]}
    if inputs.clip is not None:
        clip = storage.put(
            inputs.clip, f"avatars/{avatar_id}/videos/hero_{mark}{_suffix(inputs.clip)}"
        )
        training |= {"heroVideoUrl": clip.url, "videoUrls": [clip.url], "performance": None}
    elif inputs.performance or performance:
        moved_by = inputs.performance or performance
        training |= {"heroVideoUrl": None, "videoUrls": [], "performance": moved_by}
    if training:
        fields["training"] = training
    if inputs.name:
        fields["name"] = inputs.name
    if inputs.parameters:
        fields["dynamics"] = {DYNAMICS_ID: {"parameters": inputs.wishes()}}
    return fields


def _suffix(path: Path) -> str:
    """The suffix of the file's format, else its own where it is a plain one."""
    with store_errors("read", path), path.open("rb") as file:
        kind = sniff(file.read(HEAD_BYTES))
    if kind.name in SUFFIXES:
        return SUFFIXES[kind.name]
    suffix = path.suffix.lower()
    return suffix if len(suffix) <= 6 and suffix[1:].isascii() and suffix[1:].isalnum() else ""
