"""Objects in a Firebase Storage bucket, which is a Cloud Storage bucket with download tokens.

Google's own client does the transport; dagster-gcp's `GCSResource` only makes such a client from a
project (no credentials from the environment, no emulator), at four seconds of imports per process.
Each operation is retried as a whole (`retrying`), because the lost response of a conditional write
must be handled here.
"""

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from google.api_core import exceptions

from resources.downloads.public_download import PublicDownload
from resources.google.errors import google_errors, retrying
from resources.storage.input_addresses import (
    has_token,
    input_refused,
    is_open_by_token,
    is_own_input,
    object_address,
)
from resources.storage.objects import (
    ABSENT,
    StoredObject,
    checked_object_name,
    content_type_of,
    no_such_object,
    too_large,
)
from sunriza_assets.errors import ConflictError, StoreError

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

__all__ = ["FIREBASE_URL", "FirebaseStorage"]

FIREBASE_URL: Final = "https://firebasestorage.googleapis.com"
_TOKENS: Final = "firebaseStorageDownloadTokens"
_UPLOAD: Final = "sunrizaUpload"
"""Metadata key with a random id of the upload, for objects without a download token."""
_TIMEOUT_S: Final = 60.0


class FirebaseStorage:
    """`MediaStorage` in one bucket.

    Args:
        client: with rights on the bucket.
        bucket: its name, without `gs://`.
        downloads: reads addresses outside of the bucket.
        base_url: where download URLs begin; an emulator's own address in tests.
    """

    def __init__(
        self,
        client: "Client",
        bucket: str,
        *,
        downloads: PublicDownload | None = None,
        base_url: str = FIREBASE_URL,
    ) -> None:
        self._client = client
        self._bucket = client.bucket(bucket)
        self._downloads = downloads or PublicDownload()
        self._base_url = base_url.rstrip("/")

    def put(
        self,
        source: Path,
        name: str,
        *,
        content_type: str | None = None,
        cache_control: str | None = None,
        if_generation: str | None = None,
        private: bool = False,
    ) -> StoredObject:
        """Upload a file; see `MediaStorage.put`."""
        checked_object_name(name)
        if not source.is_file():
            raise StoreError("There is no such file to store", where=source, code="missing")
        generation = _generation(if_generation)
        key, mark = _UPLOAD if private else _TOKENS, str(uuid.uuid4())

        def upload() -> "Blob":
            blob = self._bucket.blob(name)
            blob.metadata = {key: mark}
            blob.cache_control = cache_control
            try:
                blob.upload_from_filename(
                    str(source),
                    content_type=content_type or content_type_of(name),
                    if_generation_match=generation,
                    checksum="md5",
                    timeout=_TIMEOUT_S,
                    retry=None,
                )
            except exceptions.PreconditionFailed as conflict:
                found = self._bucket.get_blob(name, timeout=_TIMEOUT_S, retry=None)
                ours = found is not None and (found.metadata or {}).get(key) == mark
                if found is None or not ours:  # else the response of our own upload was lost
                    raise ConflictError(
                        "The object was written by somebody else", where=name, code="generation"
                    ) from conflict
                return found
            return blob

        with google_errors(name):
            stored = self._object(retrying()(upload))
        with source.open("rb") as file:
            if hashlib.file_digest(file, "md5").hexdigest() != stored.md5:
                raise StoreError("The file changed while it was stored", where=source, code="torn")
        return stored

    def stat(self, name: str) -> StoredObject | None:
        """The object, or None when there is none."""
        blob = self._blob(name)
        return None if blob is None else self._object(blob)

    def fetch(self, name: str, folder: Path) -> Path:
        """Download an object into `folder`, under its own last name."""
        return self._download(name, folder)

    def _download(
        self, name: str, folder: Path, is_admitted: Callable[["Blob"], bool] = lambda _: True
    ) -> Path:
        """Download exactly the version of an object that was checked, not one that replaces it."""
        path = folder / Path(checked_object_name(name)).name
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")

        def download() -> None:
            blob = self._blob(name)
            if blob is None or not is_admitted(blob):
                raise no_such_object(name)
            blob.download_to_filename(
                str(temporary),
                if_generation_match=blob.generation,
                checksum="auto",
                timeout=_TIMEOUT_S,
                retry=None,
            )

        folder.mkdir(parents=True, exist_ok=True)
        try:
            with google_errors(name):
                # An object that is replaced meanwhile is checked and read again.
                retrying(exceptions.PreconditionFailed, exceptions.NotFound)(download)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    def copy(self, name: str, target: str, *, cache_control: str | None = None) -> StoredObject:
        """Copy inside the bucket, without moving the bytes through this machine."""
        checked_object_name(target)

        def rewrite() -> "Blob":
            source = self._blob(name)
            if source is None:
                raise no_such_object(name)
            copy = self._bucket.blob(target)
            copy.content_type = source.content_type
            copy.cache_control = cache_control
            copy.metadata = {_TOKENS: str(uuid.uuid4())}
            rewrite_token: str | None = None
            while True:
                rewrite_token, _, _ = copy.rewrite(
                    source,
                    token=rewrite_token,
                    if_source_generation_match=source.generation,
                    timeout=_TIMEOUT_S,
                    retry=None,
                )
                if rewrite_token is None:
                    return copy

        with google_errors(name):
            return self._object(
                retrying(exceptions.PreconditionFailed, exceptions.NotFound)(rewrite)
            )

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects whose name starts with a prefix, in order of name."""

        def read() -> list["Blob"]:
            return [
                *self._client.list_blobs(
                    self._bucket, prefix=prefix or None, timeout=_TIMEOUT_S, retry=None
                )
            ]

        with google_errors(prefix):
            blobs = retrying()(read)
        yield from (self._object(blob) for blob in blobs)

    def delete(self, name: str, *, if_generation: str | None = None) -> bool:
        """Remove an object; False when there was none."""
        blob = self._bucket.blob(checked_object_name(name))
        generation = _generation(if_generation)

        def remove() -> bool:
            try:
                blob.delete(if_generation_match=generation, timeout=_TIMEOUT_S, retry=None)
            except exceptions.NotFound:
                return False
            except exceptions.PreconditionFailed as conflict:
                raise ConflictError(
                    "The object was written by somebody else", where=name, code="generation"
                ) from conflict
            return True

        with google_errors(name):
            return retrying()(remove)

    def name_of(self, url: str) -> str | None:
        """The object of the bucket that an address names, in any of Google's URL forms."""
        address = object_address(url, self._bucket.name, self._base_url)
        return None if address is None else address.name

    def resolve(self, url: str, folder: Path, *, avatar_id: str, max_bytes: int) -> Path:
        """The file behind an address; see `MediaStorage.resolve`."""
        address = object_address(url, self._bucket.name, self._base_url)
        if address is None:
            return self._downloads.fetch(url, folder / "download", max_bytes=max_bytes)
        name = address.name
        is_own = is_own_input(name, avatar_id)
        if not is_own and not (address.token and is_open_by_token(name)):
            raise input_refused(url)

        def is_admitted(blob: "Blob") -> bool:
            if not is_own and not has_token(address.token, _tokens(blob)):
                return False
            if int(blob.size or 0) > max_bytes:
                raise too_large(self._object(blob), max_bytes)
            return True

        try:
            return self._download(name, folder, is_admitted)
        except StoreError as error:
            if error.code == "store.missing" and not is_own:
                raise input_refused(url) from None  # missing, or another owner's
            raise

    def _blob(self, name: str) -> "Blob | None":
        checked_object_name(name)
        with google_errors(name):
            return retrying()(lambda: self._bucket.get_blob(name, timeout=_TIMEOUT_S, retry=None))

    def _object(self, blob: "Blob") -> StoredObject:
        url = f"{self._base_url}/v0/b/{self._bucket.name}/o/{quote(blob.name, safe='')}?alt=media"
        tokens = _tokens(blob)
        return StoredObject(
            name=blob.name,
            size=int(blob.size or 0),
            generation=str(blob.generation),
            md5=base64.b64decode(blob.md5_hash or "").hex(),
            content_type=blob.content_type or "application/octet-stream",
            url=f"{url}&token={tokens[0]}" if tokens else url,
        )


def _tokens(blob: "Blob") -> list[str]:
    """The download tokens of an object; Firebase keeps several, separated by commas."""
    return [token for token in (blob.metadata or {}).get(_TOKENS, "").split(",") if token]


def _generation(condition: str | None) -> int | None:
    """The precondition for Google's clients, where 0 means that no such object exists."""
    return 0 if condition == ABSENT else None if condition is None else int(condition)
