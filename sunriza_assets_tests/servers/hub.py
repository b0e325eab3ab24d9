"""As much of the hub's protocol as downloads take: revisions, hashes, ranges, terms."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

__all__ = ["COMMIT", "Hub", "serve_hub"]

COMMIT = "c" * 40
"""The commit of every repository."""


@dataclass
class Hub:
    """A running hub and its levers."""

    root: Path
    """Files of the repository `owner/name` lie in `<root>/owner/name/`."""
    address: str = ""
    cut_after: int | None = None
    """Bytes after which every answer ends."""
    gated: frozenset[str] = frozenset()
    """Repositories whose terms nobody has accepted."""
    wrong: bytes = b""
    """What is sent instead of each file's own bytes, if anything."""
    requested: list[str] = field(default_factory=list)
    """`<name> from <first byte>` of each download."""


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[Hub]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/"):
            repository = "/".join(self.path.split("/")[3:5])
            content = json.dumps({"id": repository, "sha": COMMIT, "siblings": []})
            self._head(200, len(content))
            self.wfile.write(content.encode())
        else:
            self._answer(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _answer(self, *, body: bool) -> None:
        owner, name, _, _revision, *rest = self.path.removeprefix("/").split("?")[0].split("/")
        path = self.hub.root.joinpath(owner, name, *rest)
        if f"{owner}/{name}" in self.hub.gated:
            self._head(403, 0, X_Error_Code="GatedRepo", X_Error_Message="Accept the terms")
            return
        if not path.is_file():
            self._head(404, 0, X_Error_Code="EntryNotFound")
            return
        content = path.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        if self.hub.wrong:
            content = self.hub.wrong * (len(content) // len(self.hub.wrong) + 1)
            content = content[: path.stat().st_size]
        whole, start = len(content), 0
        byte_range = self.headers.get("Range", "")
        if body and byte_range.startswith("bytes="):
            start = int(byte_range.removeprefix("bytes=").split("-")[0])
        if body:
            self.hub.requested.append(f"{path.name} from {start}")
        headers = {"ETag": f'"{etag}"', "X_Repo_Commit": COMMIT, "Accept_Ranges": "bytes"}
        if start:
            headers["Content_Range"] = f"bytes {start}-{whole - 1}/{whole}"
        self._head(206 if start else 200, whole - start, **headers)
        if body:
            limit = self.hub.cut_after
            self.wfile.write(content[start : whole if limit is None else start + limit])


@contextmanager
def serve_hub(root: Path) -> Iterator[Hub]:
    """A hub with these repositories, on a port of its own."""
    hub = Hub(root)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
