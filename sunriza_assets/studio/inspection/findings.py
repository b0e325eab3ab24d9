"""Findings of the input coach: each with its figure and the bound that it violates."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sunriza_assets.errors import MediaError

__all__ = ["Finding", "refusal"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an input."""

    subject: Literal["portrait", "clip"]
    """Which of the two."""
    code: str
    """Machine-readable: too_small, dark... or the code of an error such as media.truncated."""
    severity: Literal["refuse", "advise"]
    """refuse: it cannot work; advise: it works and will look worse than it could."""
    sentence: str
    """What is wrong and what to do, for a person."""
    value: float | None = None
    """What was measured, in the unit of the sentence."""
    bound: float | None = None
    """What it is measured against."""

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return asdict(self)


def refusal(findings: Iterable[Finding], *, remedy: str | None = None) -> MediaError | None:
    """One error for all refusals among the findings; None without any.

    Args:
        findings: of one avatar's inputs.
        remedy: what to do about it, besides what the findings say.
    """
    refused = [finding for finding in findings if finding.severity == "refuse"]
    if not refused:
        return None
    return MediaError(
        " ".join(finding.sentence for finding in refused).rstrip("."),
        remedy=remedy,
        code=refused[0].code.rpartition(".")[2],
    )
