"""Uploads: multipart forms, read as a stream into a private folder and deleted with the request.

    async with uploaded(request, UploadRules(files=("source_image",))) as form:
        portrait = form.file("source_image")

Files never touch the system's temporary folder: they are written to `SUNRIZA_HOME/service/uploads`
(mode 0700) under random names. What a client calls its file, and of what type it says it is, is not
looked at: `kind` is what the first bytes announce. A file is not decoded here.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, cast

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from resources.orders.store import OrderStore
from sunriza_assets.atomic import store_errors
from sunriza_assets.errors import LimitError, MediaError, StoreError
from sunriza_assets.service.auth.limits import upload_limit
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread
from sunriza_assets.service.request_errors import RequestError
from sunriza_assets.service.uploads_folder import make_uploads_folder
from sunriza_assets.studio.media.sniff import HEAD_BYTES, FileKind, sniff

__all__ = [
    "UploadRules",
    "UploadedFile",
    "UploadedForm",
    "uploaded",
]

FREE_BYTES: Final = 1_000_000_000
"""Uploads are refused below this much free disk."""

_WRITE_BYTES: Final = 256 * 1024
_PART_HEADERS: Final = 8
_PART_HEADER_BYTES: Final = 1024
_NAME_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What a form may contain."""

    files: tuple[str, ...] = ()
    """Names under which files may be sent."""
    max_files: int = 3
    """Files in all."""
    max_fields: int = 20
    """Fields in all."""
    field_bytes: int = 64 * 1024
    """Largest field."""
    file_bytes: int = 50 * 1024 * 1024
    """Largest file."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of a form; it is deleted when the form's block ends."""

    path: Path
    """Where it lies."""
    size: int
    """Bytes."""
    sha256: str
    """Of its content, hex."""
    kind: FileKind
    """What its first bytes announce."""


@dataclass(frozen=True, slots=True)
class UploadedForm:
    """Fields and files of a multipart form."""

    fields: Mapping[str, list[str]] = field(default_factory=dict)
    """Values by name, in order."""
    files: Mapping[str, list[UploadedFile]] = field(default_factory=dict)
    """Files by name, in order."""

    @property
    def hashes(self) -> dict[str, list[str]]:
        """sha256 (hex) of the files by name."""
        return {name: [one.sha256 for one in given] for name, given in self.files.items()}

    def field(self, name: str) -> str | None:
        """The value of a field; None without it.

        Raises:
            RequestError: `request.invalid` it is there several times.
        """
        return cast(str | None, _only(self.fields.get(name, []), name))

    def file(self, name: str) -> UploadedFile | None:
        """The file of this name; None without it.

        Raises:
            RequestError: `request.invalid` there are several.
        """
        return cast(UploadedFile | None, _only(self.files.get(name, []), name))


def _only(values: list[str] | list[UploadedFile], name: str) -> object:
    if len(values) > 1:
        raise RequestError(
            f"{name} was sent {len(values)} times",
            code="invalid",
            remedy="Send it once.",
            errors=({"loc": ["body", name], "msg": "sent several times"},),
        )
    return values[0] if values else None


@asynccontextmanager
async def uploaded(request: Request, rules: UploadRules) -> AsyncIterator[UploadedForm]:
    """Read a multipart form; its files are there until the block ends.

    Raises:
        RequestError: `request.form` it cannot be read, has too many parts, or a field is too long;
            `request.type` it is no multipart form.
        MediaError: `media.too_large`, `media.empty`.
        LimitError: `limit.uploads` the caller has uploaded too much today.
        StoreError: `store.full`.
    """
    service = cast(Service, request.app.state.service)
    reader = _FormReader(rules, service.uploads_folder)
    announced = int(request.headers.get("content-length", 0))
    await _count(service, request, announced)
    try:
        form = await reader.read(request, announced)
        if not announced:  # it came in chunks
            await _count(service, request, reader.size)
        yield form
    finally:
        reader.remove_files()  # in no thread: whoever is cancelled may wait for none


async def _count(service: Service, request: Request, size: int) -> None:
    """Count uploaded bytes against the caller's day."""
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None or not principal.is_limited or not size:
        return
    orders: OrderStore = service.orders
    name = f"uid:{principal.uid}"
    result = await in_thread(orders.take, name, upload_limit(service.settings), size)
    if not result.allowed:
        raise LimitError(
            "Too much was uploaded today",
            remedy="Try again later.",
            code="uploads",
            retry_after_s=result.retry_after_s,
        )


@dataclass
class _File:
    """A file that is being received."""

    name: str
    path: Path
    stream: IO[bytes]
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    head: bytes = b""
    size: int = 0
    waiting: bytearray = field(default_factory=bytearray)

    def write(self, *, last: bool = False) -> None:
        """Write what waits; called in a thread."""
        data = bytes(self.waiting)
        self.waiting.clear()
        with store_errors("write", self.path):
            self.stream.write(data)
            if last:
                self.stream.close()
        self.digest.update(data)


class _FormReader:
    """Reads one form: the parser's callbacks collect, `read` writes to disk between them."""

    def __init__(self, rules: UploadRules, folder: Path) -> None:
        self.rules = rules
        self.folder = folder
        self.fields: dict[str, list[str]] = {}
        self.files: list[_File] = []
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._field: tuple[str, bytearray] | None = None
        self._file: _File | None = None
        self._field_count = 0
        self._ended = False

    async def read(self, request: Request, announced: int) -> UploadedForm:
        """Read the form, of which so many bytes are announced, to its end."""
        await in_thread(self._check_space, announced)
        try:
            parser = self._parser(request.headers.get("content-type", ""))
            async for chunk in request.stream():
                if chunk and not self._ended:
                    parser.write(chunk)
                for file in self.files:
                    if len(file.waiting) >= _WRITE_BYTES:
                        await in_thread(file.write)
            parser.finalize()
        except FormParserError as error:
            raise RequestError("The form cannot be read", code="form") from error
        except ClientDisconnect as error:
            raise RequestError("The caller has left", code="form") from error
        if not self._ended:
            raise RequestError("The form ends too early", code="form")
        return UploadedForm(self.fields, await self._finished())

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def remove_files(self) -> None:
        """Delete all files."""
        for file in self.files:
            file.waiting.clear()
            with suppress(OSError):
                file.stream.close()
            file.path.unlink(missing_ok=True)

    async def _finished(self) -> dict[str, list[UploadedFile]]:
        finished: dict[str, list[UploadedFile]] = {}
        for file in self.files:
            await in_thread(file.write, last=True)
            if not file.size:
                raise MediaError("The file is empty", remedy="Upload it again.", code="empty")
            entry = UploadedFile(file.path, file.size, file.digest.hexdigest(), sniff(file.head))
            finished.setdefault(file.name, []).append(entry)
        return finished

    def _check_space(self, announced: int) -> None:
        make_uploads_folder(self.folder)
        with store_errors("read", self.folder):
            free = shutil.disk_usage(self.folder).free
        if free - announced < FREE_BYTES:
            raise StoreError(
                "There is no room for uploads",
                where=self.folder,
                remedy="Try again later.",
                code="full",
            )

    def _parser(self, content_type: str) -> MultipartParser:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise RequestError(
                "The body is no multipart form",
                code="type",
                remedy="Send it as multipart/form-data.",
            )
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise RequestError("The form names no boundary", code="form")
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value_data,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
            max_header_count=_PART_HEADERS,
            max_header_size=_PART_HEADER_BYTES,
        )

    # -- callbacks of the parser ------------------------------------------------------------------

    def _part_begin(self) -> None:
        self._headers = {}
        self._field = self._file = None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_data(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise RequestError("A part of the form has no name", code="form")
        name = _text(options[b"name"])
        if not 0 < len(name) <= _NAME_CHARACTERS or not name.isprintable():
            raise RequestError("A part of the form has no usable name", code="form")
        if b"filename" in options or b"filename*" in options:
            self._begin_file(name)
        else:
            self._field_count += 1
            if self._field_count > self.rules.max_fields:
                raise RequestError(
                    f"The form has more than {self.rules.max_fields} fields", code="form"
                )
            self._field = (name, bytearray())

    def _begin_file(self, name: str) -> None:
        if len(self.files) >= self.rules.max_files:
            most = self.rules.max_files
            raise RequestError(
                f"The form has more than {most} file{'s' if most > 1 else ''}", code="form"
            )
        if name not in self.rules.files:
            taken = ", ".join(self.rules.files) or "none"
            raise RequestError(
                f"{name} is no file of this form", code="form", remedy=f"Files: {taken}."
            )
        path = self.folder / f"{secrets.token_hex(16)}.upload"
        with store_errors("write", path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            # Unbuffered: pieces are collected in `waiting`.
            self._file = _File(name, path, os.fdopen(descriptor, "wb", buffering=0))
        self.files.append(self._file)

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._file is not None:
            file = self._file
            file.size += len(piece)
            if file.size > self.rules.file_bytes:
                raise MediaError(
                    f"The file has more than {self.rules.file_bytes // 2**20} MB",
                    remedy="Shorten it or choose a smaller resolution.",
                    code="too_large",
                )
            if len(file.head) < HEAD_BYTES:
                file.head += piece[: HEAD_BYTES - len(file.head)]
            file.waiting += piece
        elif self._field is not None:
            self._field[1].extend(piece)
            if len(self._field[1]) > self.rules.field_bytes:
                raise RequestError(
                    f"A field has more than {self.rules.field_bytes // 1024} kB", code="form"
                )

    def _part_end(self) -> None:
        if self._field is not None:
            name, value = self._field
            self.fields.setdefault(name, []).append(_text(bytes(value)))
        self._field = self._file = None

    def _end(self) -> None:
        self._ended = True


def _text(value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError("A field of the form is not UTF-8", code="form") from error
    if "\0" in text:
        raise RequestError("A field of the form carries a NUL character", code="form")
    return text
