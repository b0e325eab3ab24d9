"""The Firestore client, without gRPC's own retries.

With those, a streaming read (`BatchGetDocuments`, `RunQuery`) that begins while the server shuts
down may never end: neither its deadline nor a cancellation takes effect. The figures are in
docs/decisions/grpc-retries-off.md. `errors.retrying` retries whole operations instead.
"""

from typing import Any, Final

import grpc
from google.cloud.firestore import Client
from google.cloud.firestore_v1.services.firestore import client as firestore_api
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

__all__ = ["FirestoreClient"]

_NO_RETRIES: Final = ("grpc.enable_retries", 0)
_MESSAGES_OF_ANY_SIZE: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
)


class FirestoreClient(Client):
    """`google.cloud.firestore.Client` whose calls end, whatever happens to the connection."""

    # The library has no public way to set channel options. The test of these two hooks fails if
    # the library stops calling them.

    @property
    def _firestore_api(self) -> Any:
        return self._firestore_api_helper(_Transport, firestore_api.FirestoreClient, firestore_api)

    def _emulator_channel(self, transport: Any) -> grpc.Channel:
        del transport  # there is only one kind
        options = (*_MESSAGES_OF_ANY_SIZE, _NO_RETRIES)
        return grpc.insecure_channel(self._emulator_host, options=options)


class _Transport(FirestoreGrpcTransport):
    @classmethod
    def create_channel(cls, *args: Any, options: Any = (), **keywords: Any) -> grpc.Channel:
        return super().create_channel(*args, options=(*options, _NO_RETRIES), **keywords)
