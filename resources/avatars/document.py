"""The avatar document: its fields, checked, and what they ask for.

Documents are written by apps and people, so every value is validated here. The format is the one in
Firestore; see `docs/avatar-document.md`. State changes are in `ownership.py`, persistence is in the
stores.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from resources.avatars.instants import as_instant, instant_text
from resources.avatars.owners import foreign_fields, is_foreign, is_unbound, owner_in
from resources.avatars.record import RunRecord
from sunriza_assets.errors import AvatarError

__all__ = [
    "DYNAMICS_ID",
    "AvatarDocument",
    "merged",
    "new_document",
    "shown_fields",
]

DYNAMICS_ID: Final = "basic"
"""The one entry of `dynamics` that this system writes."""
_OBSOLETE_PARAMETERS: Final = frozenset({"scale"})
"""Parameters of the former system that apps still send and that are ignored: `scale` was the width
of its face crop, which is now computed."""


def new_document(avatar_id: str, now_ms: int) -> dict[str, Any]:
    """The fields of a new document; the app reads `id`, the documentation says `avatarId`."""
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
    """The server's record of its runs; clients cannot change it."""

    @property
    def basic(self) -> Mapping[str, Any]:
        """`dynamics.basic`, or an empty map."""
        return _map(_map(self.data.get("dynamics")).get(DYNAMICS_ID))

    @property
    def plain(self) -> dict[str, Any]:
        """The whole document as JSON values: instants as RFC 3339, other types as text."""
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
        """userId: the avatar's owner; None if the document names none."""
        return owner_in(self.data)

    @property
    def is_foreign(self) -> bool:
        """Whether the record is another owner's, or of an avatar that is being deleted."""
        return is_foreign(self)

    @property
    def performance(self) -> str | None:
        """training.performance if there is no hero video: the name of a built-in performance.

        The value is returned as text and not validated; the run rejects unknown names.
        """
        training = _map(self.data.get("training"))
        given, url = training.get("performance"), training.get("heroVideoUrl")
        if given in (None, "") or (isinstance(url, str) and url):
            return None
        return given if isinstance(given, str) else repr(given)

    @property
    def status(self) -> str | None:
        """dynamics.basic.status: pending, generating, ready, error, or None."""
        status = self.basic.get("status")
        return status if isinstance(status, str) else None

    @property
    def run_id(self) -> str | None:
        """dynamics.basic.runId: the run that owns the avatar or made its results."""
        run_id = self.basic.get("runId")
        return run_id if isinstance(run_id, str) else None

    @property
    def is_blank(self) -> bool:
        """Whether it shows no run: a new avatar, or one whose dynamics were removed."""
        return self.status is None

    @property
    def has_inputs(self) -> bool:
        """Whether there is a hero image, and a hero video or a performance in its place."""
        return self.inputs["image"] is not None and self.has_motion_source

    @property
    def has_motion_source(self) -> bool:
        """Whether there is a hero video, or a performance in its place."""
        return self.inputs["video"] is not None or self.performance is not None

    @property
    def needs_run(self) -> bool:
        """Whether a run should be started for it.

        One is requested (`has_open_request`), one is held back (`is_held`), or the inputs are not
        those that the last run claimed. Without a request no run starts for an avatar that lacks an
        input or whose owner has switched `training.dynamicsEnabled` off, nor for results of the
        former system. If the record belongs to another owner, no run starts at all.
        """
        if self.is_foreign or self.record.restoring is not None:
            return False
        if self.has_open_request or self.is_held:
            return True
        if not self.has_inputs or _map(self.data.get("training")).get("dynamicsEnabled") is False:
            return False
        if self.record.inputs_version is None:
            return not self._has_foreign_results
        if self.is_blank and self.record.state != "generating":
            return True
        return not self.record.last_run_covers(self.inputs_version)

    @property
    def has_open_request(self) -> bool:
        """Whether `pending` requests a run whose results are neither in progress nor published.

        A client that saves a stale copy of the document may restore `pending`; with unchanged
        inputs that is no request.
        """
        if self.status != "pending":
            return False
        at_work = self.record.state == "generating" and self.record.last_run_covers(
            self.inputs_version
        )
        return not at_work and not self.record.results_cover(self.inputs_version)

    @property
    def is_held(self) -> bool:
        """Whether a run for the current inputs is held back, see `RunRecord.waiting`."""
        waiting = self.record.waiting
        return waiting is not None and waiting.inputs_version == self.inputs_version

    @property
    def needs_settling(self) -> bool:
        """Whether `dynamics.basic` differs from the record.

        A client has saved a stale copy, a process died between two files, or the results are of
        the former system and have no record yet; `AvatarStore.settle` corrects it. Wishes and
        requests (`parameters`, `has_open_request`) belong to the client and are no difference.
        """
        record = self.record
        if self.is_foreign:
            expected = foreign_fields(self)
            leaks = (shown_fields(record).keys() - expected.keys()) & self.basic.keys()
            return bool(leaks) or any(self.basic.get(key) != expected[key] for key in expected)
        if record.restoring is not None:
            return True
        if record.waiting is None and record.inputs_version is None:
            return self._has_foreign_results
        removed = self.is_blank and record.state != "generating"
        unclaimed = record.waiting is None and record.claims == 0
        if removed or unclaimed or is_unbound(self):
            return is_unbound(self)
        if record.waiting is not None and not self.is_held:
            return True
        shown = shown_fields(record)
        if self.has_open_request:
            shown.pop("status", None)
        wrong = any(not _same(self.basic.get(key), value) for key, value in shown.items())
        return wrong or any((key in self.basic) != (key in shown) for key in ("error", "waiting"))

    @property
    def _has_foreign_results(self) -> bool:
        return self.status == "ready" and bool(self.basic.get("idleVideoUrl"))

    @property
    def wishes(self) -> dict[str, Any]:
        """The parameters that the document requests, as written (raw names and values).

        Publishing writes the effective parameters into the document, so that it always shows how
        its idle was made. Values that a launchpad overrode are listed in `overridden` with the
        document's own value; while unchanged they are replaced by that value here.
        """
        parameters = _map(self.basic.get("parameters"))
        wishes = {
            name: wish for name, wish in parameters.items() if name not in _OBSOLETE_PARAMETERS
        }
        for name, entry in _map(self.basic.get("overridden")).items():
            given = _map(entry)
            if name in wishes and wishes[name] == given.get("by"):
                del wishes[name]
                if given.get("document") is not None:
                    wishes[name] = given["document"]
        return wishes

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs of a run: the URLs of portrait and clip (None where missing), and wishes.

        `performance` is included only if it replaces the clip.
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
        """The document with the inputs that the current run has claimed.

        A user may change them while the run works; all its steps must use the same inputs.
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
        """Hash of what a run reads from the document: portrait, clip or performance, wishes.

        Two documents with equal inputs need only one run; documents that lack an input have a
        version too.
        """
        training = _map(self.data.get("training"))
        given = {
            "image": [
                training.get("heroImageUrl"),
                self.data.get("avatarImageUrl"),
                self.data.get("profileImageUrl"),
            ],
            "video": training.get("heroVideoUrl"),
            "wishes": self.wishes,
        }
        if self.performance is not None:  # keeps the versions of documents without one
            given["performance"] = self.performance
        text = json.dumps(_plain(given), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def shown_fields(record: RunRecord) -> dict[str, Any]:
    """The fields of `dynamics.basic` that mirror a record; no progress, parameters, updatedAt."""
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
    """Equality that also accepts an instant written as RFC 3339 text."""
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
    """Numbers as JavaScript clients write them back: 1.0 becomes 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _map(value: object) -> Mapping[str, Any]:
    if type(value) is dict:  # nearly all are; to ask the abstract class takes ten times as long
        return value
    return value if isinstance(value, Mapping) else {}
