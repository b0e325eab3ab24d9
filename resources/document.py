"""The avatar document: what is read out of it, and what its changes mean.

Documents are written by apps and people, so everything is checked here and nothing is believed.
The shape is the one in use in Firestore; see `docs/avatar-document.md`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sunriza_assets.errors import AvatarError

__all__ = ["DYNAMICS_ID", "AvatarDocument", "checked_avatar_id"]

DYNAMICS_ID: Final = "basic"
"""The one entry of `dynamics` that this system makes."""
# Firestore and Storage would take more; a file name, a partition key and a URL would not.
_AVATAR_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def checked_avatar_id(avatar_id: str) -> str:
    """The id itself, when it can be one.

    Raises:
        AvatarError: it is empty, too long, or has characters other than A-Z a-z 0-9 _ -.
    """
    if not isinstance(avatar_id, str) or not _AVATAR_ID.fullmatch(avatar_id):
        shown = repr(avatar_id) if len(repr(avatar_id)) <= 60 else f"{repr(avatar_id)[:57]}..."
        raise AvatarError(
            f"{shown} is not an avatar id",
            remedy="Use 1 to 128 letters, digits, '_' or '-', the first a letter or digit.",
            code="id",
        )
    return avatar_id


@dataclass(frozen=True, slots=True)
class AvatarDocument:
    """One document as it was read."""

    avatar_id: str
    """Its id, checked."""
    data: Mapping[str, Any]
    """The whole document."""
    update_time: str
    """When it was last written, RFC 3339 UTC with nanoseconds."""

    @property
    def basic(self) -> Mapping[str, Any]:
        """`dynamics.basic`, or an empty map."""
        return _map(_map(self.data.get("dynamics")).get(DYNAMICS_ID))

    @property
    def hero_image_url(self) -> str:
        """training.heroImageUrl, else avatarImageUrl, else profileImageUrl.

        Raises:
            AvatarError: the document has none.
        """
        training = _map(self.data.get("training"))
        for url in (
            training.get("heroImageUrl"),
            self.data.get("avatarImageUrl"),
            self.data.get("profileImageUrl"),
        ):
            if isinstance(url, str) and url:
                return url
        raise AvatarError(
            "The avatar has no hero image",
            where=self.avatar_id,
            remedy="Set training.heroImageUrl or avatarImageUrl.",
            code="no_image",
        )

    @property
    def hero_video_url(self) -> str:
        """training.heroVideoUrl.

        Raises:
            AvatarError: the document has none.
        """
        url = _map(self.data.get("training")).get("heroVideoUrl")
        if isinstance(url, str) and url:
            return url
        raise AvatarError(
            "The avatar has no hero video",
            where=self.avatar_id,
            remedy="Set training.heroVideoUrl.",
            code="no_video",
        )

    @property
    def status(self) -> str | None:
        """dynamics.basic.status: pending, generating, ready, error, or None."""
        status = self.basic.get("status")
        return status if isinstance(status, str) else None

    @property
    def run_id(self) -> str | None:
        """The run that owns the avatar or made its results."""
        run_id = self.basic.get("runId")
        return run_id if isinstance(run_id, str) else None

    @property
    def wishes(self) -> dict[str, Any]:
        """The parameters that the document itself asks for, as written (raw names and values).

        Publishing writes the effective parameters into the document, so that it always says what
        its idle was made with. What a launchpad had overridden is kept beside them, and counts
        only as long as nobody has changed it since: an experiment does not become a wish.
        """
        wishes = dict(_map(self.basic.get("parameters")))
        for name, entry in _map(self.basic.get("overridden")).items():
            said = _map(entry)
            if name in wishes and wishes[name] == said.get("by"):
                del wishes[name]
                if said.get("document") is not None:
                    wishes[name] = said["document"]
        return wishes

    @property
    def inputs_version(self) -> str:
        """Hash of all that a run reads from the document: picture, clip and wishes.

        Two documents with equal inputs need only one run; documents that lack an input have a
        version too.
        """
        training = _map(self.data.get("training"))
        said = {
            "image": [
                training.get("heroImageUrl"),
                self.data.get("avatarImageUrl"),
                self.data.get("profileImageUrl"),
            ],
            "video": training.get("heroVideoUrl"),
            "wishes": self.wishes,
        }
        text = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
