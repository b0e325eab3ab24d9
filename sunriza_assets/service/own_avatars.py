"""Finding a caller's own avatars: what belongs to others is absent."""

import asyncio
from typing import Final

from resources.avatars.document import AvatarDocument
from resources.avatars.store import no_such_avatar
from sunriza_assets.errors import AvatarError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread

__all__ = ["find_avatar", "listed_owner"]

_ABSENT_S: Final = 0.02
"""An absent avatar is told after this time at the earliest: reading one of somebody else takes
longer than finding none."""


async def find_avatar(
    service: Service, principal: Principal, avatar_id: str, *, unusable: bool = False
) -> AvatarDocument:
    """The document of an avatar that the caller may see and change.

    Args:
        unusable: whether a document counts whose id still belongs to a former owner's record.

    Raises:
        AvatarError: `avatar.missing` the id is none, there is no such avatar, it is somebody
            else's, or it is being deleted: the same text, after the same time.
        StoreError: it cannot be read.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time()
    try:
        document = await in_thread(service.stores.avatars.get, avatar_id)
    except AvatarError:
        document = None
    if (
        document is None
        or not principal.owns(document.user_id)
        or (document.is_foreign and not unusable)
    ):
        await asyncio.sleep(max(0.0, begin + _ABSENT_S - loop.time()))
        raise no_such_avatar(avatar_id)
    return document


def listed_owner(principal: Principal) -> str | None:
    """Whose avatars a caller's listing shows; None for everybody's."""
    return None if principal.sees_all else principal.uid
