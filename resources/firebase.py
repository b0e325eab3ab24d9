"""Connecting to a Firebase project: settings, credentials and permissions.

    SUNRIZA_FIREBASE_PROJECT     project id (else GOOGLE_CLOUD_PROJECT, else the credentials' own)
    SUNRIZA_FIREBASE_BUCKET      bucket (else <project>.firebasestorage.app)
    SUNRIZA_FIRESTORE_DATABASE   database (else "(default)")
    FIREBASE_CREDENTIALS         a service account's key, as JSON text
    GOOGLE_APPLICATION_CREDENTIALS  or as a file; with neither, the default credentials
                                 (workload identity, `gcloud auth application-default login`)
    SUNRIZA_ALLOWED_HOSTS        hosts besides the bucket that hero images and videos may come from
    FIRESTORE_EMULATOR_HOST, STORAGE_EMULATOR_HOST   both or none: emulators

Credentials are never shown, logged or quoted in an error.
"""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from google.api_core import exceptions

from resources.avatars.firestore import FirestoreAvatars
from resources.downloads.public_download import PublicDownload
from resources.google.errors import google_errors
from resources.push import FirestoreTokens, Push
from resources.settings import Settings
from resources.storage.firebase import FIREBASE_URL, FirebaseStorage
from sunriza_assets.errors import StoreError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.storage import Client as StorageClient

__all__ = ["Firebase", "FirebaseSettings"]

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_REQUIRED_PERMISSIONS: Final = (
    "storage.objects.get",
    "storage.objects.list",
    "storage.objects.create",
    "storage.objects.delete",
)
_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class FirebaseSettings:
    """Where the stores are, and the credentials for them."""

    project: str | None
    """Project id; None takes the credentials' own."""
    bucket: str | None
    """Bucket name; None takes the project's default bucket."""
    database: str | None
    """Firestore database; None takes the default one."""
    credentials: str | None = field(repr=False)
    """A service account's key as JSON text; None takes the application default credentials."""
    emulated: bool
    """Whether both services are emulated, so that no credentials are needed."""
    storage_url: str
    """Where download URLs begin."""
    allowed_hosts: tuple[str, ...]
    """Hosts besides the bucket that inputs may come from."""

    @classmethod
    def of(cls, settings: Settings) -> "FirebaseSettings":
        """The part of the process's settings that concerns Firebase.

        Raises:
            StoreError: only one of the two services is emulated.
        """
        emulators = [settings.firestore_emulator, settings.storage_emulator]
        if any(emulators) and not all(emulators):
            raise StoreError(
                "Only one of FIRESTORE_EMULATOR_HOST and STORAGE_EMULATOR_HOST is set",
                remedy="Set both or none: half of the data would go to the real project.",
                code="settings",
            )
        credentials = settings.firebase_credentials
        return cls(
            project=settings.firebase_project or settings.google_cloud_project,
            bucket=settings.firebase_bucket,
            database=settings.firestore_database,
            credentials=credentials.get_secret_value() if credentials else None,
            emulated=all(emulators),
            storage_url=settings.storage_emulator or FIREBASE_URL,
            allowed_hosts=settings.allowed_hosts,
        )


class Firebase:
    """The two clients of one project.

    Raises:
        StoreError: the credentials cannot be used, or the project is not known.
    """

    def __init__(self, settings: FirebaseSettings) -> None:
        from google.cloud import storage

        from resources.google.firestore_client import FirestoreClient

        credentials, own_project = _credentials(settings)
        project = settings.project or own_project
        if not project:
            raise StoreError(
                "The Firebase project is not known",
                remedy="Set SUNRIZA_FIREBASE_PROJECT.",
                code="settings",
            )
        self._settings = settings
        self._project = project
        self._credentials = credentials
        self._bucket = settings.bucket or f"{project}.firebasestorage.app"
        with google_errors(project):
            self._firestore = FirestoreClient(
                project=project, credentials=credentials, database=settings.database
            )
            self._storage: StorageClient = storage.Client(project=project, credentials=credentials)

    def avatars(self) -> FirestoreAvatars:
        """The avatar documents."""
        return FirestoreAvatars(self._firestore)

    def storage(self) -> FirebaseStorage:
        """The bucket."""
        return FirebaseStorage(
            self._storage,
            self._bucket,
            downloads=PublicDownload(self._settings.allowed_hosts),
            base_url=self._settings.storage_url,
        )

    def push(self, url: str) -> Push:
        """Push messages to the devices of the project's users.

        Args:
            url: where the HTTP v1 API of Firebase Cloud Messaging is.
        """
        tokens = FirestoreTokens(self._firestore)
        return Push(tokens, self._project, self._credentials, url=url)

    def describe(self) -> str:
        """One line that names project and bucket with the rights on them. Writes nothing.

        Raises:
            StoreError: it cannot be reached, or rights are missing (the message lists them).
        """
        self._check_firestore_access()
        missing = sorted(set(_REQUIRED_PERMISSIONS) - set(self._granted_permissions()))
        if missing:
            raise StoreError(
                f"Rights on the bucket are missing: {', '.join(missing)}",
                where=self._bucket,
                remedy="Grant the service account Storage Object Admin on this bucket.",
                code="rights",
            )
        where = " (emulators)" if self._settings.emulated else ""
        return (
            f"Firestore of project {self._project}, read and write; "
            f"bucket {self._bucket}, read, write, list and delete{where}"
        )

    def _check_firestore_access(self) -> None:
        collection = self._firestore.collection("avatars")
        with google_errors(f"Firestore of {self._project}"):
            list(collection.limit(1).stream(timeout=_TIMEOUT_S))
            # A write whose precondition fails shows whether writing is allowed.
            batch = self._firestore.batch()
            batch.delete(
                collection.document("sunriza-doctor-asks"),
                option=self._firestore.write_option(exists=True),
            )
            try:
                batch.commit(timeout=_TIMEOUT_S)
            except (exceptions.NotFound, exceptions.FailedPrecondition):
                return

    def _granted_permissions(self) -> list[str]:
        with google_errors(self._bucket):
            bucket = self._storage.bucket(self._bucket)
            return [*bucket.test_iam_permissions(list(_REQUIRED_PERMISSIONS), timeout=_TIMEOUT_S)]


def _credentials(settings: FirebaseSettings) -> tuple["Credentials", str | None]:
    """The credentials, and their project if they name one."""
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    if settings.emulated:
        return AnonymousCredentials(), None
    if settings.credentials is None:
        with google_errors("application default credentials"):
            found, project = google.auth.default(scopes=list(_SCOPES))
        return found, project
    return _service_account(settings.credentials)


def _service_account(text: str) -> tuple["Credentials", str | None]:
    from google.oauth2 import service_account

    refusal = StoreError(
        "FIREBASE_CREDENTIALS is not the key of a service account",
        remedy="It must hold the whole JSON text of the key file, not its path.",
        code="credentials",
    )
    try:
        info: Any = json.loads(text)
        credentials = service_account.Credentials.from_service_account_info(
            info, scopes=list(_SCOPES)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # `from None`: the error underneath may quote the key.
        raise refusal from None
    return credentials, info.get("project_id")
