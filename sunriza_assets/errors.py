"""The few errors this system raises on purpose.

Each says what is wrong, where (file, avatar, parameter), and what to do about it, in words that a
user of the app may read. Everything raised because of an input, a missing model or a store derives
from `SunrizaError`; any other exception is a bug. Nothing here depends on anything.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

__all__ = [
    "AccessError",
    "AvatarError",
    "ConflictError",
    "CostError",
    "CreditsError",
    "EngineError",
    "FaceError",
    "LimitError",
    "MediaError",
    "ModelError",
    "ParameterError",
    "SpeechError",
    "StoreError",
    "SunrizaError",
    "did_you_mean",
]


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`Did you mean 'render'? ` for a word that is nearly a known one, to open a remedy; or ``.

    Upper and lower case do not matter, nor do hyphens for underscores; `word` may be anything.
    """
    asked = str(word).strip().lower().replace("-", "_")[:80]
    plain = {name.lower().replace("-", "_"): name for name in known}
    near = get_close_matches(asked, plain, n=1, cutoff=0.7)
    return f"Did you mean {plain[near[0]]!r}? " if near else ""


class SunrizaError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: what is wrong, one clause without a full stop.
        where: the file, avatar or key it is about.
        remedy: what to do about it, a sentence.
        code: dotted machine-readable code (`media.too_large`); defaults to the class's own family.
    """

    family: ClassVar[str] = "sunriza"

    def __init__(
        self, what: str, *, where: object = None, remedy: str | None = None, code: str | None = None
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        self.code = f"{self.family}.{code}" if code else self.family
        super().__init__(self.message)

    @property
    def public(self) -> str:
        """What a user of the app may read: no paths, no names of machines."""
        return f"{self.what}{self._stop} {self.remedy}" if self.remedy else self.what + self._stop

    @property
    def message(self) -> str:
        """One line: what (where). remedy."""
        place = f" ({self.where})" if self.where else ""
        advice = f" {self.remedy}" if self.remedy else ""
        return f"{self.what}{place}{'.' if place else self._stop}{advice}"

    @property
    def _stop(self) -> str:
        """A full stop, unless it is a question."""
        return "" if self.what.endswith("?") else "."


class MediaError(SunrizaError):
    """A picture or clip that cannot be used: unreadable, too long, too large, without frames."""

    family = "media"


class FaceError(SunrizaError):
    """No face, several faces, or a face that cannot be followed through the clip."""

    family = "face"


class ParameterError(SunrizaError):
    """An unknown parameter or a value out of its range; the message names the allowed range."""

    family = "parameter"


class ModelError(SunrizaError):
    """A model file that is missing, foreign or damaged; the message names the command to get it."""

    family = "model"


class EngineError(SunrizaError):
    """An engine that is not available here or cannot use what it was given."""

    family = "engine"


class SpeechError(SunrizaError):
    """A text, language, voice or sound that cannot be spoken or listened to."""

    family = "speech"


class AvatarError(SunrizaError):
    """An avatar id that is not one, or an avatar that does not exist or lacks an input."""

    family = "avatar"


class StoreError(SunrizaError):
    """A document or object store that cannot be reached, read or written (a full disk, too)."""

    family = "store"


class ConflictError(StoreError):
    """A stale writer: somebody else has changed the object or taken the avatar over since."""

    family = "conflict"


class CostError(SunrizaError):
    """A price book, step record or ledger that cannot be read, or a report nobody can make."""

    family = "cost"


class AccessError(SunrizaError):
    """A caller of the service who is not known, or may not do this."""

    family = "access"


class LimitError(SunrizaError):
    """A limit of a caller or of the whole service that is reached.

    Args:
        retry_after_s: seconds after which the same request may succeed; None if unknown.
    """

    family = "limit"

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        remedy: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what, where=where, remedy=remedy, code=code)
        self.retry_after_s = retry_after_s


class CreditsError(LimitError):
    """An owner's credits do not suffice."""

    family = "credits"
