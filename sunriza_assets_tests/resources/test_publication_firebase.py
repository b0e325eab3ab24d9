"""Publishing on Firestore and Firebase Storage, over TCP."""

from sunriza_assets_tests.resources.firestore_fixtures import (
    avatars,
    client,
    firestore_client,
    firestore_server,
)
from sunriza_assets_tests.resources.publication_contract import PublicationContract
from sunriza_assets_tests.resources.storage_fixtures import opened, storage, storage_server

__all__ = [
    "avatars",
    "client",
    "firestore_client",
    "firestore_server",
    "opened",
    "storage",
    "storage_server",
]


class TestContract(PublicationContract):
    """All of it."""
