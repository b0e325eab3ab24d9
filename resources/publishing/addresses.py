"""Addresses of published files as callers of the service get them."""

from urllib.parse import quote

from resources.publishing.publication import folder_of

__all__ = ["public_file_url"]


def public_file_url(
    avatar_id: str,
    version: str,
    name: str,
    stored_url: str,
    *,
    cdn: str | None = None,
    base_path: str = "",
) -> str:
    """The address of one file of a version: the CDN's, the bucket's own, or a path of the service.

    The local store's own addresses are places on a disk and are never shown.

    Args:
        avatar_id: whose.
        version: folder of the version.
        name: documented name, see `publication.FILES`.
        stored_url: as the store has it.
        cdn: prefix of a CDN in front of the bucket (SUNRIZA_CDN).
        base_path: path prefix under which the service is mounted.
    """
    if cdn:
        return f"{cdn.rstrip('/')}/{quote(f'{folder_of(avatar_id)}/{version}/{name}')}"
    if stored_url.startswith(("https:", "http:")):
        return stored_url
    return f"{base_path}/avatars/{avatar_id}/versions/{version}/files/{quote(name)}"
