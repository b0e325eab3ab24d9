"""One change of an avatar: its new record and what it changes in the document.

What changes, and when, is decided in `ownership.py`. No input or output here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from resources.avatars.document import DYNAMICS_ID, AvatarDocument
from resources.avatars.instants import epoch_ms
from resources.avatars.record import RunRecord

__all__ = ["RESULT_KEYS", "Transition", "document_after", "stale_keys"]

RESULT_KEYS: Final = frozenset(
    {
        "idleVideoUrl",
        "atlasUrl",
        "maskUrl",
        "atlasJsonUrl",
        "roiJsonUrl",
        "heroImageChunkUrl",
        "idleChunk1Url",
        "idleChunk2Url",
        "idleChunk3Url",
        "framesZipUrl",
        "posterUrl",
        "thumbnailUrl",
        "latentsUrl",
        "manifestUrl",
    }
)
"""Keys that a publication may set. Keys that the next one does not set are removed, or a document
would mix files of two versions."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of an avatar: the new record, and the changes of its document."""

    record: RunRecord
    """The record after the transition."""
    put: Mapping[str, Any]
    """Keys of `dynamics.basic` to write."""
    drop: frozenset[str]
    """Keys of `dynamics.basic` to remove."""
    updated_at: datetime | None
    """New `updatedAt` of the document (epoch ms) and of `dynamics.basic`; None leaves both."""
    lasting: bool = True
    """Whether it stays after a power cut; False where what asked for it asks again then."""

    @property
    def fields(self) -> dict[str, Any]:
        """All that is written into `dynamics.basic`."""
        if self.updated_at is None:
            return dict(self.put)
        return {**self.put, "updatedAt": self.updated_at}


def document_after(document: AvatarDocument, step: Transition, update_time: str) -> AvatarDocument:
    """The document after a transition; what it leaves alone is shared with the one before."""
    data = dict(document.data)
    dynamics = data.get("dynamics")
    data["dynamics"] = dynamics = dict(dynamics) if isinstance(dynamics, Mapping) else {}
    kept = {key: value for key, value in document.basic.items() if key not in step.drop}
    dynamics[DYNAMICS_ID] = kept | step.fields
    if step.updated_at is not None:
        data["updatedAt"] = epoch_ms(step.updated_at)
    return replace(document, data=data, record=step.record, update_time=update_time)


def stale_keys(
    document: AvatarDocument, record: RunRecord, shown: Mapping[str, Any]
) -> frozenset[str]:
    """Keys of the document that belong to another state or version than the record's."""
    owned = {"error", "waiting"}
    if record.state != "generating":
        owned |= {"progress", "etaSeconds", "startedAt"}
    if record.published:
        owned |= RESULT_KEYS
    return frozenset(owned & document.basic.keys()) - shown.keys()
