"""Push messages through Firebase Cloud Messaging's HTTP v1 API.

A message carries data only, and the app decides what to show. Devices are the tokens in
`users/{uid}.fcmTokens`; one that is not registered any more is removed from there.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from resources.google.errors import google_errors
from sunriza_assets.errors import StoreError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.firestore import Client

__all__ = ["FirestoreTokens", "Push", "Tokens"]

_log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 10.0
_MAX_TOKENS: Final = 20
"""Newest devices of one user that are told."""
_FIELD: Final = "fcmTokens"


class Tokens(Protocol):
    """The devices of users."""

    def of(self, user_id: str) -> Sequence[str]:
        """Tokens of a user's devices."""
        ...

    def drop(self, user_id: str, token: str) -> None:
        """Forget a token that is not registered any more."""
        ...


class FirestoreTokens:
    """Tokens in `users/{uid}.fcmTokens` of the app's Firestore.

    Args:
        client: the Firestore client.
    """

    def __init__(self, client: "Client") -> None:
        self._users = client.collection("users")

    def of(self, user_id: str) -> Sequence[str]:
        """Tokens of a user's devices; none where the user or the field is missing."""
        if "/" in user_id or not user_id:
            return []
        with google_errors("users"):
            found = self._users.document(user_id).get([_FIELD], timeout=_TIMEOUT_S)
        tokens = (found.to_dict() or {}).get(_FIELD)
        named = tokens if isinstance(tokens, list) else []
        return [token for token in named if isinstance(token, str) and token][-_MAX_TOKENS:]

    def drop(self, user_id: str, token: str) -> None:
        """Remove a token from the user's list."""
        from google.cloud.firestore import ArrayRemove

        with google_errors("users"):
            self._users.document(user_id).update({_FIELD: ArrayRemove([token])}, timeout=_TIMEOUT_S)


class Push:
    """Sends data messages to all devices of a user.

    Args:
        tokens: the users' devices.
        project: Firebase project id.
        credentials: of a service account with the scope `firebase.messaging` or `cloud-platform`.
        url: where the HTTP v1 API is.
    """

    def __init__(
        self,
        tokens: Tokens,
        project: str,
        credentials: "Credentials",
        *,
        url: str = "https://fcm.googleapis.com",
    ) -> None:
        self._tokens = tokens
        self._credentials = credentials
        self._url = f"{url.rstrip('/')}/v1/projects/{project}/messages:send"

    def send(self, user_id: str, data: Mapping[str, str]) -> int:
        """Send a message to each device of a user; the HTTP status of the last one that failed.

        200 if nothing failed, also where the user has no device.

        Raises:
            StoreError: the credentials are not accepted, or the API does not answer.
        """
        status = 200
        for token in self._tokens.of(user_id):
            answered = self._send_one(token, data)
            if answered == _UNREGISTERED:
                self._tokens.drop(user_id, token)
            elif answered != 200:
                status = answered
        return status

    def _send_one(self, token: str, data: Mapping[str, str]) -> int:
        import requests

        message: dict[str, Any] = {"message": {"token": token, "data": dict(data)}}
        try:
            response = requests.post(
                self._url,
                json=message,
                headers={"Authorization": f"Bearer {self._access_token()}"},
                timeout=_TIMEOUT_S,
                allow_redirects=False,
            )
        except requests.RequestException as problem:
            raise StoreError("Push messages cannot be sent", code="unavailable") from problem
        if response.status_code == 200:
            return 200
        code = _fcm_code(response)
        _log.info("A push message was refused: %s %s", response.status_code, code)
        return _UNREGISTERED if code == "UNREGISTERED" else response.status_code

    def _access_token(self) -> str:
        if not self._credentials.valid:
            from google.auth.transport.requests import Request

            with google_errors("Firebase Cloud Messaging"):
                self._credentials.refresh(Request())
        return str(self._credentials.token)


_UNREGISTERED: Final = 0


def _fcm_code(response: Any) -> str:
    """The `errorCode` of an FCM error, or empty."""
    try:
        details = response.json()["error"].get("details", [])
        codes = [one.get("errorCode") for one in details if isinstance(one, dict)]
        return next((code for code in codes if isinstance(code, str)), "")
    except (ValueError, KeyError, AttributeError, TypeError):
        return ""
