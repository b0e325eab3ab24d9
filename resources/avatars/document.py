"""The avatar document: what is read out of it, and what its changes mean.

Documents are written by apps and people, so everything is checked here and nothing is believed.
The shape is the one in use in Firestore; see `docs/avatar-document.md`. How a document changes is
said in `ownership.py`; how it is stored, in the stores.
"""

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from resources.avatars.instants import as_instant, instant_text
from resources.avatars.owners import is_foreign, owner_in, told_to_others, unbound
from resources.avatars.record import RunRecord
from sunriza_assets.errors import AvatarError

__all__ = [
    "DYNAMICS_ID",
    "AvatarDocument",
    "checked_avatar_id",
    "is_avatar_id",
    "merged",
    "new_document",
    "shows",
]

DYNAMICS_ID: Final = "basic"
"""The one entry of `dynamics` that this system makes."""
_FORMER: Final = frozenset({"scale"})
"""Parameters of the former system that apps still send and that mean nothing here: `scale` was the
width of its face crop; this one finds its own."""
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


def is_avatar_id(text: str) -> bool:
    """Whether `checked_avatar_id` would take it."""
    return _AVATAR_ID.fullmatch(text) is not None


def new_document(avatar_id: str, now_ms: int) -> dict[str, Any]:
    """What a document begins with; the app reads `id`, the documentation says `avatarId`."""
    return {"avatarId": avatar_id, "id": avatar_id, "createdAt": now_ms}


def merged(data: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A document with nested fields merged into it: maps by key, everything else replaced."""
    result = copy.deepcopy(dict(data))
    for key, value in fields.items():
        if isinstance(value, Mapping):
            result[key] = merged(_map(result.get(key)), value)
        else:
            result[key] = value
    return result


@dataclass(frozen=True, slots=True)
class AvatarDocument:
    """One document as it was read."""

    avatar_id: str
    """Its id, checked."""
    data: Mapping[str, Any]
    """The whole document."""
    update_time: str
    """When it was last written, RFC 3339 UTC with nanoseconds."""
    record: RunRecord = field(default_factory=RunRecord)
    """What the server remembers of its runs; clients cannot change it."""

    @property
    def basic(self) -> Mapping[str, Any]:
        """`dynamics.basic`, or an empty map."""
        return _map(_map(self.data.get("dynamics")).get(DYNAMICS_ID))

    @property
    def plain(self) -> dict[str, Any]:
        """The whole document in JSON's words: instants as RFC 3339, what else is odd as text."""
        return {str(key): _json_value(value) for key, value in self.data.items()}

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
            remedy="Set training.heroVideoUrl, or training.performance to do without a clip.",
            code="no_video",
        )

    @property
    def user_id(self) -> str | None:
        """userId: whose avatar it is; None where the document does not say."""
        return owner_in(self.data)

    @property
    def is_foreign(self) -> bool:
        """Whether the record is another owner's, or of an avatar that is being deleted."""
        return is_foreign(self)

    @property
    def performance(self) -> str | None:
        """training.performance where there is no hero video: what moves the portrait instead.

        Whatever is written there is given back as text; whether there is such a performance, the
        run says.
        """
        training = _map(self.data.get("training"))
        said, url = training.get("performance"), training.get("heroVideoUrl")
        if said in (None, "") or (isinstance(url, str) and url):
            return None
        return said if isinstance(said, str) else repr(said)

    @property
    def status(self) -> str | None:
        """dynamics.basic.status: pending, generating, ready, error, or None."""
        status = self.basic.get("status")
        return status if isinstance(status, str) else None

    @property
    def run_id(self) -> str | None:
        """The run that owns the avatar or made its results, as the document says."""
        run_id = self.basic.get("runId")
        return run_id if isinstance(run_id, str) else None

    @property
    def is_blank(self) -> bool:
        """Whether it says nothing of any run: a new avatar, or one whose dynamics were removed."""
        return self.status is None

    @property
    def has_inputs(self) -> bool:
        """Whether there is a hero image, and a hero video or a performance in its place."""
        return self.inputs["image"] is not None and self.is_moved

    @property
    def is_moved(self) -> bool:
        """Whether there is a hero video, or a performance in its place."""
        return self.inputs["video"] is not None or self.performance is not None

    @property
    def needs_run(self) -> bool:
        """Whether a run should be started for it.

        Somebody asks for one (`asks`), one is held back (`waits`), or the inputs are not those
        that the last run claimed. Without being asked, no run starts for an avatar that lacks an
        input or whose owner has switched `training.dynamicsEnabled` off, nor for results of the
        former system. Beside the record of another owner no run starts at all.
        """
        if self.is_foreign:
            return False
        if self.asks or self.waits:
            return True
        if not self.has_inputs or _map(self.data.get("training")).get("dynamicsEnabled") is False:
            return False
        if self.record.inputs_version is None:
            return not self._has_foreign_results
        if self.is_blank and self.record.state != "generating":
            return True
        return not self.record.answers(self.inputs_version)

    @property
    def asks(self) -> bool:
        """Whether somebody asks for a run (`pending`) that is neither at work nor in place.

        A client that saves a stale copy of the document puts `pending` back; with unchanged inputs
        that asks for what it has, or is about to get.
        """
        if self.status != "pending":
            return False
        at_work = self.record.state == "generating" and self.record.answers(self.inputs_version)
        return not at_work and not self.record.serves(self.inputs_version)

    @property
    def waits(self) -> bool:
        """Whether a run for these very inputs is held back, see `RunRecord.waiting`."""
        waiting = self.record.waiting
        return waiting is not None and waiting.inputs_version == self.inputs_version

    @property
    def unsettled(self) -> bool:
        """Whether `dynamics.basic` shows something else than the record says.

        A client has saved a stale copy, a process died between two files, or the results are of
        the former system and have no record yet; `AvatarStore.settle` puts it right. Wishes and
        requests (`parameters`, `asks`) are the client's own and count as agreement.
        """
        record = self.record
        if self.is_foreign:
            told = told_to_others(self)
            leaks = (shows(record).keys() - told.keys()) & self.basic.keys()
            return bool(leaks) or any(self.basic.get(key) != told[key] for key in told)
        if record.waiting is None and record.inputs_version is None:
            return self._has_foreign_results
        removed = self.is_blank and record.state != "generating"
        unclaimed = record.waiting is None and record.claims == 0
        if removed or unclaimed or unbound(self):
            return unbound(self)
        if record.waiting is not None and not self.waits:
            return True
        shown = shows(record)
        if self.asks:
            shown.pop("status", None)
        wrong = any(not _same(self.basic.get(key), value) for key, value in shown.items())
        return wrong or any((key in self.basic) != (key in shown) for key in ("error", "waiting"))

    @property
    def _has_foreign_results(self) -> bool:
        return self.status == "ready" and bool(self.basic.get("idleVideoUrl"))

    @property
    def wishes(self) -> dict[str, Any]:
        """The parameters that the document itself asks for, as written (raw names and values).

        Publishing writes the effective parameters into the document, so that it always says what
        its idle was made with. What a launchpad had overridden is kept beside them, and counts
        only as long as nobody has changed it since: an experiment does not become a wish.
        """
        parameters = _map(self.basic.get("parameters"))
        wishes = {name: wish for name, wish in parameters.items() if name not in _FORMER}
        for name, entry in _map(self.basic.get("overridden")).items():
            said = _map(entry)
            if name in wishes and wishes[name] == said.get("by"):
                del wishes[name]
                if said.get("document") is not None:
                    wishes[name] = said["document"]
        return wishes

    @property
    def inputs(self) -> dict[str, Any]:
        """All that a run works with: the URLs of picture and clip (None where missing), wishes.

        `performance` is among them only where it takes the place of the clip.
        """
        urls: list[str | None] = []
        for read in (lambda: self.hero_image_url, lambda: self.hero_video_url):
            try:
                urls.append(read())
            except AvatarError:
                urls.append(None)
        inputs = {"image": urls[0], "video": urls[1], "wishes": self.wishes}
        return inputs if self.performance is None else {**inputs, "performance": self.performance}

    def as_claimed(self) -> "AvatarDocument":
        """The document with the inputs that the run at work has claimed.

        A user may change them at any time, and back again; a run that read some before and some
        after would publish what nobody asked for.
        """
        claimed = self.record.inputs
        if self.record.state != "generating" or self.inputs == claimed:
            return self
        training = dict(_map(self.data.get("training")))
        training |= {
            "heroImageUrl": claimed["image"],
            "heroVideoUrl": claimed["video"],
            "performance": claimed.get("performance"),
        }
        basic = {key: value for key, value in self.basic.items() if key != "overridden"}
        basic["parameters"] = claimed["wishes"]
        dynamics = dict(_map(self.data.get("dynamics"))) | {DYNAMICS_ID: basic}
        data = dict(self.data) | {"training": training, "dynamics": dynamics}
        if claimed["image"] is None:
            data |= {"avatarImageUrl": None, "profileImageUrl": None}
        return replace(self, data=data)

    @property
    def inputs_version(self) -> str:
        """Hash of all that a run reads from the document: picture, clip or performance, wishes.

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
        if self.performance is not None:  # else the version stays what it was before there were any
            said["performance"] = self.performance
        text = json.dumps(_plain(said), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def shows(record: RunRecord) -> dict[str, Any]:
    """What `dynamics.basic` shows of a record, without progress, parameters and updatedAt."""
    shown: dict[str, Any] = {}
    if record.waiting is not None:
        shown["waiting"] = record.waiting.shown()
    if record.waiting is not None and record.state != "generating":
        shown["status"] = "pending"
    elif record.state is not None:
        shown["status"] = record.state
    if record.run_id is not None:
        shown["runId"] = record.run_id
    if record.inputs_version is not None:
        shown["inputsVersion"] = record.inputs_version
    if record.state == "generating":
        shown["startedAt"] = record.started_at
    if record.state == "error" and record.error and record.waiting is None:
        shown["error"] = dict(record.error)
    if record.current:
        shown |= record.results
        shown["createdAt"] = record.created_at
        shown["generatedAt"] = record.current.at
    return shown


def _same(found: object, meant: object) -> bool:
    """Equality in which an instant may also be written as RFC 3339 text."""
    if isinstance(meant, Mapping):
        return (
            isinstance(found, Mapping)
            and found.keys() == meant.keys()
            and all(_same(found[key], value) for key, value in meant.items())
        )
    return (as_instant(found) if isinstance(meant, datetime) else found) == meant


def _json_value(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json_value(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(entry) for entry in value]
    if isinstance(value, datetime):
        return instant_text(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _plain(value: object) -> object:
    """Numbers as JavaScript clients write them back: 1.0 comes home as 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
