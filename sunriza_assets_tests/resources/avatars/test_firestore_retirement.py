"""Retiring an avatar in Firestore: all below its document goes, lost answers change nothing."""

import pytest
from google.cloud import firestore

from resources.avatars.firestore import FirestoreAvatars
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS
from sunriza_assets_tests.resources.avatars.firestore_fixtures import (
    avatars,
    client,
    firestore_client,
    firestore_server,
    own_server,
)
from sunriza_assets_tests.servers.firestore.server import FirestoreServer

__all__ = ["avatars", "client", "firestore_client", "firestore_server", "own_server"]


class TestRetirement:
    def test_what_the_app_keeps_below_a_document_goes_and_the_record_last(
        self, avatars: FirestoreAvatars, firestore_client: firestore.Client
    ) -> None:
        avatars.merge("anna", INPUTS | {"userId": "alice"})
        avatars.claim("anna", "run-1")
        below = firestore_client.collection("avatars").document("anna")
        other = firestore_client.document("avatars/anna2/images/i")
        other.set({"url": "u"})
        playlist = below.collection("playlists").document("p")
        playlist.set({"name": "p"})
        playlist.collection("items").document("i").set({"url": "u"})
        below.collection("images").document("i").set({"url": "u"})
        avatars.retire("anna", remove=True)
        assert below.collection("images").document("i").get().exists
        avatars.forget("anna")
        assert list(below.collections()) == []
        assert list(playlist.collections()) == []
        assert other.get().exists

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("method", ["BeginTransaction", "BatchGetDocuments", "Commit"])
    def test_a_lost_answer_changes_nothing(
        self, avatars: FirestoreAvatars, own_server: FirestoreServer, method: str, when: str
    ) -> None:
        import grpc

        def lose() -> None:
            own_server.fail(method, status=grpc.StatusCode.UNAVAILABLE, when=when)

        avatars.merge("anna", INPUTS | {"userId": "alice"})
        avatars.claim("anna", "run-1")
        lose()
        assert avatars.retire("anna", remove=True)
        assert avatars.retired(9) == ["anna"]
        lose()
        avatars.forget("anna")
        assert avatars.retired(9) == []
        lose()
        assert avatars.merge("anna", INPUTS).record.claims == 0

    def test_other_peoples_commits_are_waited_for(
        self, avatars: FirestoreAvatars, own_server: FirestoreServer
    ) -> None:
        import grpc

        own_server.fail("Commit", status=grpc.StatusCode.ABORTED, times=3)
        assert avatars.retire("anna")
