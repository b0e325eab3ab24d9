"""An avatar's files: list them, serve those of the local store, zip, gallery, lineage."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from resources.avatars.document import AvatarDocument
from resources.avatars.store import no_such_avatar
from resources.publishing.publication import FILES, folder_of
from resources.storage.objects import StoredObject
from sunriza_assets.errors import AvatarError, MediaError, StoreError
from sunriza_assets.service.avatar_files import PURPOSES, file_url
from sunriza_assets.service.avatar_versions import (
    files_of_version,
    known_version,
    manifest_of_version,
    version_in_place,
)
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.etags import tagged_json
from sunriza_assets.service.own_avatars import find_avatar
from sunriza_assets.service.routes.avatars import AvatarId
from sunriza_assets.service.routes.versions import VersionName
from sunriza_assets.service.schemas.lineage import Lineage
from sunriza_assets.service.schemas.versions import FileList, Gallery, ShownFile
from sunriza_assets.service.zipped import zip_stream
from sunriza_assets.studio.media.limits import DEFAULT_LIMITS
from sunriza_assets.studio.media.sniff import sniff_file

__all__ = ["router"]

router = APIRouter(tags=["files"])

ChosenVersion = Annotated[
    str | None, Query(description="A version's name; the one in place without it.", max_length=64)
]
_LEFTOVER_S: Final = 3600.0
_IMMUTABLE: Final = {"Cache-Control": "private, max-age=31536000, immutable"}
_INPUT_TYPES: Final = {
    "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif",
    "heic": "image/heic", "mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm",
    "matroska": "video/x-matroska",
}  # fmt: skip
_BYTES: Final[dict[int | str, dict[str, object]]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The file."},
    206: {"description": "The part that `Range` asks for."},
    307: {"description": "Its address in the bucket."},
    416: {"description": "No part of the file."},
}


@router.get("/avatars/{avatar_id}/files", response_model=FileList, summary="List files")
async def list_files(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    avatar_id: AvatarId,
    version: ChosenVersion = None,
) -> Response:
    """The files of a version with their sizes and addresses."""
    document = await find_avatar(service, principal, avatar_id)
    chosen = _chosen(document, version)
    found = await in_thread(files_of_version, service, avatar_id, chosen)
    base = f"{service.base_path}/avatars/{avatar_id}"
    answer = FileList(
        version=chosen,
        files=[_shown(service, avatar_id, chosen, name, one) for name, one in found.items()],
        size=sum(one.size for one in found.values()),
        zip_url=f"{base}/zip?version={chosen}",
    )
    return tagged_json(request, answer)


@router.get(
    "/avatars/{avatar_id}/versions/{version}/files/{name:path}",
    response_class=FileResponse,
    responses=_BYTES,
    summary="Get a file",
)
async def get_file(
    service: ServiceDep,
    principal: PrincipalDep,
    avatar_id: AvatarId,
    version: VersionName,
    name: str,
) -> Response:
    """One file of a version, whole or in ranges. The files of a version never change."""
    document = await find_avatar(service, principal, avatar_id)
    chosen = known_version(document, version)
    if name not in FILES:
        raise no_such_file(avatar_id)

    def find() -> tuple[StoredObject | None, Path | None]:
        stored = service.stores.storage.stat(f"{folder_of(avatar_id)}/{chosen}/{name}")
        if stored is None or service.stores.shared:
            return stored, None
        return stored, service.stores.storage.fetch(stored.name, service.folder)

    stored, path = await in_thread(find)
    if stored is None:
        raise no_such_file(avatar_id)
    if path is None:
        url = file_url(service, avatar_id, chosen, name, stored.url)
        return RedirectResponse(url, headers={"Cache-Control": "no-store"})
    return FileResponse(path, media_type=FILES[name].content_type, headers=_IMMUTABLE)


@router.get(
    "/avatars/{avatar_id}/inputs/{kind}",
    response_class=FileResponse,
    responses=_BYTES,
    summary="Get a portrait or clip",
)
async def get_input(
    service: ServiceDep,
    principal: PrincipalDep,
    avatar_id: AvatarId,
    kind: Literal["portrait", "clip"],
) -> Response:
    """The portrait or clip that the avatar is made of, from the local store."""
    document = await find_avatar(service, principal, avatar_id)
    url = document.inputs["image" if kind == "portrait" else "video"]
    if url is None or service.stores.shared or url.startswith(("https:", "http:")):
        raise no_such_file(avatar_id)

    def find() -> tuple[Path, str]:
        try:
            path = service.stores.storage.resolve(
                url, service.folder, avatar_id=avatar_id, max_bytes=DEFAULT_LIMITS.file_bytes
            )
            found = sniff_file(path, DEFAULT_LIMITS)
        except (StoreError, MediaError):  # the document names something that it may not
            raise no_such_file(avatar_id) from None
        return path, _INPUT_TYPES.get(found.name, "application/octet-stream")

    path, content_type = await in_thread(find)
    return FileResponse(
        path, media_type=content_type, headers={"Cache-Control": "private, no-cache"}
    )


@router.get(
    "/avatars/{avatar_id}/zip",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "The archive."}},
    summary="Get all files in one archive",
)
async def get_zip(
    service: ServiceDep, principal: PrincipalDep, avatar_id: AvatarId, version: ChosenVersion = None
) -> Response:
    """A ZIP of a version, under the documented names."""
    document = await find_avatar(service, principal, avatar_id)
    chosen = _chosen(document, version)
    found = await in_thread(files_of_version, service, avatar_id, chosen)
    if not found:
        raise no_such_file(avatar_id)
    return StreamingResponse(
        _zipped(service, found),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{avatar_id}-{chosen}.zip"',
            "Cache-Control": "private, no-store",
        },
    )


@router.get("/avatars/{avatar_id}/gallery", response_model=Gallery, summary="What a page needs")
async def get_gallery(
    request: Request, service: ServiceDep, principal: PrincipalDep, avatar_id: AvatarId
) -> Response:
    """Addresses of the version in place, of the CDN where there is one."""
    document = await find_avatar(service, principal, avatar_id)
    version = version_in_place(document)
    urls = {
        name: file_url(service, avatar_id, version, name, url)
        for name, file in FILES.items()
        if isinstance(url := document.record.results.get(file.key), str)
    }
    answer = Gallery(
        version=version,
        etag=f'"{version}"',
        thumbnail_url=urls.get("thumbnail.jpg"),
        poster_url=urls.get("poster.jpg"),
        idle_url=urls["idle.mp4"],
        chunks=[url for name, url in urls.items() if name.startswith("idle_chunks/idle_")],
        hero_image_chunk=urls.get("idle_chunks/heroImage_chunk.jpg"),
        atlas=urls.get("atlas.jpg"),
        atlas_json=urls.get("atlas.json"),
        mask=urls.get("mask.png"),
        roi=urls.get("roi.json"),
        frames_zip=urls.get("frames.zip"),
        manifest=urls.get("manifest.json"),
    )
    return tagged_json(request, answer)


@router.get("/avatars/{avatar_id}/lineage", response_model=Lineage, summary="What it is made of")
async def get_lineage(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    avatar_id: AvatarId,
    version: ChosenVersion = None,
) -> Response:
    """Inputs, models, steps, devices and cost of a version, by its manifest."""
    document = await find_avatar(service, principal, avatar_id)
    chosen = _chosen(document, version)

    def read() -> Lineage:
        from sunriza_assets.service.lineage import lineage_of

        return lineage_of(manifest_of_version(service, document, chosen), chosen)

    return tagged_json(request, await in_thread(read))


def no_such_file(avatar_id: str) -> AvatarError:
    """The error for a file that a version does not have."""
    return AvatarError("This avatar has no such file", where=avatar_id, code="file")


def _chosen(document: AvatarDocument, version: str | None) -> str:
    if document.is_foreign:
        raise no_such_avatar(document.avatar_id)
    return version_in_place(document) if version is None else known_version(document, version)


def _shown(
    service: Service, avatar_id: str, version: str, name: str, stored: StoredObject
) -> ShownFile:
    return ShownFile(
        name=name,
        purpose=PURPOSES[name],
        key=FILES[name].key,
        content_type=FILES[name].content_type,
        size=stored.size,
        md5=stored.md5,
        url=file_url(service, avatar_id, version, name, stored.url),
    )


def _zipped(service: Service, found: dict[str, StoredObject]) -> Iterator[bytes]:
    """The archive; a file that must be downloaded stays on the disk for its turn alone."""

    def turns(scratch: Path) -> Iterator[tuple[str, Path]]:
        for name, stored in found.items():
            with TemporaryDirectory(dir=scratch) as folder:
                yield name, service.stores.storage.fetch(stored.name, Path(folder))

    service.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_leftovers(service.folder)
    with TemporaryDirectory(prefix="zip-", dir=service.folder) as scratch:
        yield from zip_stream(turns(Path(scratch)))


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed processes have left of archives an hour ago."""
    oldest = time.time() - _LEFTOVER_S
    for one in folder.glob("zip-*"):
        with suppress(FileNotFoundError):
            if one.stat().st_mtime < oldest:
                shutil.rmtree(one, ignore_errors=True)
