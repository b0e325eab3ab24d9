"""`FirebaseStorage` keeps the contract over real HTTP, and stands what networks do."""

from sunriza_assets_tests.resources.media_storage_contract import MediaStorageContract, file
from sunriza_assets_tests.resources.storage_fixtures import (
    opened,
    own_bucket_server,
    storage,
    storage_server,
)

__all__ = ["file", "opened", "own_bucket_server", "storage", "storage_server"]


class TestContract(MediaStorageContract):
    """All of it."""
