"""A hand-made manifest."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from sunriza_assets.costs.manifest import FileFact, Manifest, ManifestStep, ModelFact
from sunriza_assets_tests.costs.logs import T4, step

__all__ = ["NOON", "digest", "made"]

NOON = datetime(2025, 10, 20, 12, tzinfo=UTC)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def fact(name: str, content: str) -> FileFact:
    return FileFact(name, digest(content), len(content))


def made(run: str = "run-1", *, idle: str = "idle", at: datetime = NOON, **other: Any) -> Manifest:
    """A manifest whose template was extracted by run-0."""
    facts = {
        "motion_template": step(1, 36.0, device=T4).metadata,
        "idle_video": step(2, 72.0, device=T4).metadata,
        "published_avatar": step(3, 3.6).metadata,
    }
    steps = [
        ManifestStep("motion_template", "run-0", "t-version", {"trimmed_video": "v"}, "1",
                     facts["motion_template"]),
        ManifestStep("idle_video", run, "i-version", {"motion_template": "t-version"}, "1",
                     facts["idle_video"]),
        ManifestStep("published_avatar", run, run, {"idle_video": "i-version"}, None,
                     facts["published_avatar"]),
    ]  # fmt: skip
    defaults: dict[str, Any] = {
        "avatar_id": "ada",
        "run_id": run,
        "made_at": at,
        "package_version": "0.1.0",
        "engine": "mesh",
        "engine_version": "3",
        "parameters": {"driving_multiplier": 1.7, "loop": True},
        "inputs": [fact("hero_image", "portrait"), fact("hero_video", "clip")],
        "outputs": [fact("idle.mp4", idle), fact("mask.png", "mask")],
        "steps": steps,
        "models": [ModelFact("face_mesh", digest("weights"), "Apache-2.0")],
    }
    return Manifest(**(defaults | other))
