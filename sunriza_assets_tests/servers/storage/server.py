"""The wrapped emulator; see the package's docstring."""

import copy
import hmac
import json
import re
import threading
import time
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from io import BytesIO
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from gcp_storage_emulator.handlers import buckets
from gcp_storage_emulator.handlers.objects import _make_object_resource
from gcp_storage_emulator.server import RequestHandler, Response, Router
from gcp_storage_emulator.storage import Storage

_OBJECT = re.compile(r"(?:/download)?(?:/storage/v1)?/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)")
_LIST = re.compile(r"(?:/storage/v1)?/b/(?P<bucket>[^/]+)/o")
_UPLOAD = re.compile(r"/upload/storage/v1/b/(?P<bucket>[^/]+)/o")
_REWRITE = re.compile(
    r"(?:/storage/v1)?/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)/rewriteTo"
    r"/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)"
)
_FIREBASE = re.compile(r"/v0/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)")
_RIGHTS = re.compile(r"(?:/storage/v1)?/b/(?P<bucket>[^/]+)/iam/testPermissions")
_TOKENS = "firebaseStorageDownloadTokens"
_PAGE = 1000


class _Storage(Storage):
    """The emulator's storage with working links, and without its diary."""

    def create_file(
        self, bucket_name: str, file_name: str, content: bytes, file_obj: Any, file_id: Any = None
    ) -> None:
        path = f"/download/storage/v1/b/{bucket_name}/o/{quote(file_name, safe='')}"
        base = file_obj["mediaLink"].partition("/download/")[0]
        file_obj["mediaLink"] = f"{base}{path}?generation={file_obj['generation']}&alt=media"
        super().create_file(bucket_name, file_name, content, file_obj, file_id)

    def _write_config_to_file(self) -> None:
        """The emulator writes all it knows into a file with every change; nobody reads it here."""


@dataclass
class Fault:
    """What goes wrong with the next requests."""

    method: str
    """GET, POST…"""
    path: str = ""
    """Text that must be in the request's path."""
    when: Literal["before", "after"] = "before"
    """before: nothing is done; after: the work is done and the answer is lost."""
    status: int | None = 503
    """How the request is answered; 0 drops the connection, None answers as if all were well."""
    cut_at: int | None = None
    """Bytes of the answer after which the connection is dropped."""
    delay_s: float = 0.0
    """How long the request is held up."""
    skip: int = 0
    """Requests that still go well."""
    times: int = 1
    """Requests that do not."""


class StorageServer:
    """A server on a port of this machine; a context manager."""

    def __init__(self) -> None:
        self.storage = _Storage(use_memory_fs=True)
        self.lock = threading.RLock()
        self.requests: list[str] = []
        """Method and path of every request, in order."""
        self.denied: set[str] = set()
        """Permissions that `testPermissions` does not grant."""
        self.conditions: dict[str, tuple[str, str, dict[str, str]]] = {}
        self._faults: list[Fault] = []
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """For STORAGE_EMULATOR_HOST."""
        return f"http://127.0.0.1:{self.port}"

    def create_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        with self.lock:
            buckets.create_bucket(name, self.storage)
            self.storage.buckets[name]["softDeletePolicy"] = {"retentionDurationSeconds": "0"}

    def start(self) -> None:
        """Listen, on the former port if there was one."""
        ThreadingHTTPServer.allow_reuse_address = True
        server = ThreadingHTTPServer(
            ("127.0.0.1", self.port), partial(_Handler, self), bind_and_activate=True
        )
        server.daemon_threads = True
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self._server = server

    def stop(self) -> None:
        """Stop answering; what is stored stays."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def fail(self, method: str, path: str = "", **said: Any) -> None:
        """Let the next requests go wrong, see `Fault`."""
        with self.lock:
            self._faults.append(Fault(method, path, **said))

    def heal(self) -> None:
        """Take all faults back."""
        with self.lock:
            self._faults.clear()
            self.denied.clear()

    def fault_of(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets."""
        with self.lock:
            self.requests.append(f"{method} {path}")
            for fault in self._faults:
                if fault.method == method and fault.path in path:
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    if not fault.times:
                        self._faults.remove(fault)
                    return fault
        return None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()


class _Handler(RequestHandler):
    def __init__(self, server: StorageServer, *args: Any) -> None:
        self._of = server
        super().__init__(server.storage, *args)

    def do_GET(self) -> None:  # noqa: N802  the base class wants these names
        self._serve("GET")

    def do_POST(self) -> None:  # noqa: N802
        self._serve("POST")

    def do_PUT(self) -> None:  # noqa: N802
        self._serve("PUT")

    def do_PATCH(self) -> None:  # noqa: N802
        self._serve("PATCH")

    def do_DELETE(self) -> None:  # noqa: N802
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        fault = self._of.fault_of(method, self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault and fault.delay_s:
            time.sleep(fault.delay_s)
        socket, answer = self.wfile, BytesIO()
        fails = fault is not None and fault.status is not None
        if not (fails and fault and fault.when == "before"):
            self.rfile, self.wfile = BytesIO(body), answer
            with self._of.lock:
                self._answer(method, body)
        if fails and fault:
            if not fault.status:
                self.close_connection = True
                return
            self.wfile = answer = BytesIO()
            self.send_response(fault.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
        content = answer.getvalue()
        socket.write(content if fault is None or fault.cut_at is None else content[: fault.cut_at])

    def _answer(self, method: str, body: bytes) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = parts.path
        if match := _FIREBASE.fullmatch(path):
            self._firebase(*_names(match), query)
        elif match := _RIGHTS.fullmatch(path):
            asked = parse_qs(parts.query).get("permissions", [])
            self._json({"permissions": [one for one in asked if one not in self._of.denied]})
        elif method == "GET" and (match := _LIST.fullmatch(path)):
            self._list(unquote(match["bucket"]), query)
        elif match := _REWRITE.fullmatch(path):
            self._rewrite(match, query, body)
        elif method in ("POST", "PUT") and (match := _UPLOAD.fullmatch(path)):
            self._upload(method, unquote(match["bucket"]), query, body)
        elif (match := _OBJECT.fullmatch(path)) and not self._holds(*_names(match), query):
            pass  # answered already
        else:
            Router(self).handle(method)

    def _holds(self, bucket: str, name: str, query: dict[str, str]) -> bool:
        """Whether the preconditions hold; answers the request where they do not."""
        found = self._of.storage.objects.get(bucket, {}).get(name)
        generation = found["generation"] if found else "0"
        if query.get("generation") not in (None, generation):
            self._error(HTTPStatus.NOT_FOUND)
            return False
        wanted = {
            "ifGenerationMatch": generation,
            "ifMetagenerationMatch": found["metageneration"] if found else "0",
        }
        for condition, value in wanted.items():
            if query.get(condition) not in (None, value):
                self._error(HTTPStatus.PRECONDITION_FAILED)
                return False
        if query.get("ifGenerationNotMatch") == generation:
            self._error(HTTPStatus.PRECONDITION_FAILED)
            return False
        return True

    def _upload(self, method: str, bucket: str, query: dict[str, str], body: bytes) -> None:
        if "upload_id" in query:
            if self._holds(*self._of.conditions[query["upload_id"]]):
                Router(self).handle(method)
            return
        name = query.get("name") or _name_in(body)
        if not self._holds(bucket, name, query):
            return
        Router(self).handle(method)
        answer = self.wfile.getvalue().decode("latin-1")
        if upload := re.search(r"^Location: .*[?&]upload_id=(\S+)", answer, re.M | re.I):
            self._of.conditions[unquote(upload[1].replace("+", " "))] = (bucket, name, query)

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        if bucket not in self._of.storage.buckets:
            self._error(HTTPStatus.NOT_FOUND)
            return
        found = self._of.storage.get_file_list(bucket, query.get("prefix"))[0]
        found.sort(key=lambda one: one["name"].encode())
        begin = int(query.get("pageToken", 0))
        end = begin + min(_PAGE, int(query.get("maxResults", _PAGE)))
        page: dict[str, Any] = {"kind": "storage#objects", "items": found[begin:end]}
        if end < len(found):
            page["nextPageToken"] = str(end)
        self._json(page)

    def _rewrite(self, match: re.Match[str], query: dict[str, str], body: bytes) -> None:
        bucket, name = _names(match)
        to_bucket, to_name = unquote(match["to_bucket"]), unquote(match["to_name"])
        source = self._of.storage.objects.get(bucket, {}).get(name)
        if source is None:
            self._error(HTTPStatus.NOT_FOUND)
            return
        if not self._holds(to_bucket, to_name, query):
            return
        content = self._of.storage.get_file(bucket, name)
        said = json.loads(body) if body else {}
        # Metadata that comes with the request takes the place of the source's, as a whole.
        kept = said or source
        size = source["size"]
        made = _make_object_resource(
            self._of.url, to_bucket, to_name, "", size, copy.deepcopy(kept)
        )
        made["contentType"] = kept.get("contentType", "application/octet-stream")
        made["md5Hash"], made["crc32c"] = source["md5Hash"], source["crc32c"]
        self._of.storage.create_file(to_bucket, to_name, content, made)
        self._json(
            {
                "kind": "storage#rewriteResponse",
                "totalBytesRewritten": size,
                "objectSize": size,
                "done": True,
                "resource": made,
            }
        )

    def _firebase(self, bucket: str, name: str, query: dict[str, str]) -> None:
        found = self._of.storage.objects.get(bucket, {}).get(name)
        if found is None:
            self._error(HTTPStatus.NOT_FOUND)
            return
        tokens = (found.get("metadata") or {}).get(_TOKENS, "").split(",")
        said = query.get("token", "")
        if not any(one and hmac.compare_digest(one.encode(), said.encode()) for one in tokens):
            self._error(HTTPStatus.FORBIDDEN)
            return
        response = Response(self)
        response["Cache-Control"] = found.get("cacheControl") or "private, max-age=0"
        response.write_file(self._of.storage.get_file(bucket, name), found["contentType"])
        response.close()

    def _json(self, content: dict[str, Any]) -> None:
        response = Response(self)
        response.json(content)
        response.close()

    def _error(self, status: HTTPStatus) -> None:
        response = Response(self)
        response.status = status
        response.json({"error": {"code": status.value, "message": status.phrase}})
        response.close()


def _names(match: re.Match[str]) -> tuple[str, str]:
    return unquote(match["bucket"]), unquote(match["name"])


def _name_in(body: bytes) -> str:
    """The object's name in the first part of a multipart upload, or in a resumable one's start."""
    start, end = body.find(b"{"), body.find(b"}\r\n")
    text = body[start : end + 1] if end >= 0 else body[start:]
    return str(json.loads(text)["name"])
