"""Findings about a portrait and a clip as HTTP answers show them."""

from typing import Any, Literal

from pydantic import BaseModel, Field

__all__ = ["Inspection", "ShownFinding", "ShownUpload"]


class ShownFinding(BaseModel):
    """One thing about an input."""

    subject: Literal["portrait", "clip"]
    code: str = Field(description="Machine-readable.", examples=["dark", "face.several"])
    severity: Literal["refuse", "advise"] = Field(
        description="`refuse`: it cannot work; `advise`: it would look better otherwise."
    )
    sentence: str = Field(description="What is wrong and what to do, for a person.")
    value: float | None = Field(default=None, description="What was measured.")
    bound: float | None = Field(default=None, description="What it is measured against.")


class ShownUpload(BaseModel):
    """A file as it was received."""

    kind: str = Field(description="What its first bytes announce.", examples=["jpeg"])
    size: int = Field(description="Bytes.")
    sha256: str


class Inspection(BaseModel):
    """What is to be said about a portrait and a clip before anything is stored."""

    verdict: Literal["good", "advise", "refuse"] = Field(
        description="`refuse` if a finding refuses, `advise` if there are others."
    )
    findings: list[ShownFinding] = Field(description="Worst first.")
    files: dict[str, ShownUpload] = Field(description="By name: `portrait`, `clip`.")

    @classmethod
    def of(cls, findings: list[dict[str, Any]], files: dict[str, ShownUpload]) -> "Inspection":
        """The verdict of these findings."""
        shown = [ShownFinding.model_validate(one) for one in findings]
        refused = any(one.severity == "refuse" for one in shown)
        verdict: Literal["good", "advise", "refuse"] = (
            "refuse" if refused else "advise" if shown else "good"
        )
        return cls(verdict=verdict, findings=shown, files=files)
