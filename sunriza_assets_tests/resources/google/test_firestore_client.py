"""The Firestore client's connections."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
import pytest
from google.auth.credentials import AnonymousCredentials

from resources.google.firestore_client import FirestoreClient
from sunriza_assets_tests.servers.firestore.server import FirestoreServer

_READ = "/google.firestore.v1.Firestore/BatchGetDocuments"


def channel(host: str | None, environment: pytest.MonkeyPatch) -> grpc.Channel:
    """What a client talks through; with a host, without TLS."""
    if host is None:
        environment.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    else:
        environment.setenv("FIRESTORE_EMULATOR_HOST", host)
    client = FirestoreClient(project="demo", credentials=AnonymousCredentials())
    opened: grpc.Channel = client._firestore_api.transport.grpc_channel  # as the library does
    return opened


@pytest.mark.parametrize(
    ("host", "opens"), [(None, "secure_channel"), ("127.0.0.1:1", "insecure_channel")]
)
def test_grpc_retries_nothing_by_itself(
    host: str | None, opens: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: list[tuple[str, Any]] = []
    really = getattr(grpc, opens)

    def watched(*args: Any, **keywords: Any) -> grpc.Channel:
        options.extend(keywords["options"])
        return really(*args, **keywords)

    monkeypatch.setattr(grpc, opens, watched)
    channel(host, monkeypatch).close()
    assert ("grpc.enable_retries", 0) in options
    assert ("grpc.max_receive_message_length", -1) in options


@pytest.mark.slow
def test_a_read_that_begins_as_the_server_goes_away_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = [FirestoreServer() for _ in range(1500)]
    ready = threading.Lock()

    def ends(server: FirestoreServer) -> bool:
        with server:
            with ready:
                opened = channel(server.host, monkeypatch)
            read = opened.unary_stream(_READ)
            list(read(b"", timeout=60))
        answer, done = read(b"", timeout=2), threading.Event()

        def wait() -> None:
            # Another server may have taken the port already, and answers.
            with suppress(grpc.RpcError):
                list(answer)
            done.set()

        threading.Thread(target=wait, daemon=True).start()
        ended = done.wait(60)
        opened.close()
        return ended

    with ThreadPoolExecutor(8) as several:
        assert all(several.map(ends, servers))
