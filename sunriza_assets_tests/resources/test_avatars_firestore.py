"""`FirestoreAvatars` keeps the contract over real gRPC, and stands what networks and clocks do."""

from sunriza_assets_tests.resources.avatar_store_contract import AvatarStoreContract
from sunriza_assets_tests.resources.firestore_fixtures import (
    avatars,
    client,
    firestore_client,
    firestore_server,
)

__all__ = ["avatars", "client", "firestore_client", "firestore_server"]


class TestContract(AvatarStoreContract):
    """All of it."""
