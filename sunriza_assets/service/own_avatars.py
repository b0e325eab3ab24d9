"""Finding a caller's own avatars: what belongs to others is absent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from resources.avatars.document import AvatarDocument
from resources.avatars.store import no_such_avatar
from sunriza_assets.errors import AvatarError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread

__all__ = ["absence_takes_time", "find_avatar", "listed_owner", "read_avatar"]

_ABSENT_S: Final = 0.02
"""An absent avatar is told after this time at the earliest: reading one of somebody else takes
longer than finding none."""


async def find_avatar(
    service: Service, principal: Principal, avatar_id: str, *, unusable: bool = False
) -> AvatarDocument:
    """The document of an avatar that the caller may see and change.

    Args:
        unusable: as `read_avatar`.

    Raises:
        AvatarError: `avatar.missing` as `read_avatar`, after the same time in every case.
        StoreError: it cannot be read.
    """
    async with absence_takes_time():
        return await in_thread(read_avatar, service, principal, avatar_id, unusable=unusable)


def read_avatar(
    service: Service, principal: Principal, avatar_id: str, *, unusable: bool = False
) -> AvatarDocument:
    """The document of an avatar that the caller may see and change; blocking.

    Args:
        unusable: whether a document counts whose id still belongs to a former owner's record.

    Raises:
        AvatarError: `avatar.missing` the id is none, there is no such avatar, it is somebody
            else's, or it is being deleted: the same text. Call it in `absence_takes_time`.
        StoreError: it cannot be read.
    """
    try:
        document = service.stores.avatars.get(avatar_id)
    except AvatarError:
        raise no_such_avatar(avatar_id) from None
    if not principal.owns(document.user_id) or (document.is_foreign and not unusable):
        raise no_such_avatar(avatar_id)
    return document


@asynccontextmanager
async def absence_takes_time() -> AsyncIterator[None]:
    """Let an avatar that is absent be told after the same time as one of somebody else."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    try:
        yield
    except AvatarError:
        await asyncio.sleep(max(0.0, begin + _ABSENT_S - loop.time()))
        raise


def listed_owner(principal: Principal) -> str | None:
    """Whose avatars a caller's listing shows; None for everybody's."""
    return None if principal.sees_all else principal.uid
