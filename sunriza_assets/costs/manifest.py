"""The manifest: what an avatar was made of, by what, where, and what that cost.

One `manifest.json` is published with each avatar; `archive` keeps all of them. A step made by an
earlier run and used again is listed as reused, and its cost is not counted a second time: the
costs of all manifests add up to what was spent.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sunriza_assets.atomic import replaced, store_errors
from sunriza_assets.costs.totals import RunTotal, run_total
from sunriza_assets.errors import CostError

__all__ = [
    "MANIFEST_NAME",
    "FileFact",
    "Manifest",
    "ManifestStep",
    "MarkFact",
    "ModelFact",
    "checked_sha256",
    "file_fact",
    "sha256_of",
]

MANIFEST_NAME: Final = "manifest.json"
SCHEMA: Final = 1
MAX_BYTES: Final = 4 * 1024 * 1024
"""Far above the size of any real manifest."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class MarkFact:
    """The mark (C2PA) of a published file."""

    content: str
    """SHA-256 of the file without the mark."""
    key: str
    """SHA-256 of the certificate that signed it."""
    says: str
    """Hash of what the mark says, equal for equal marks."""
    md5: str
    """Of the file with the mark, as stores report it."""

    def __post_init__(self) -> None:
        for digest in (self.content, self.key, self.says):
            checked_sha256(digest)


@dataclass(frozen=True, slots=True)
class FileFact:
    """One file by its content."""

    name: str
    """Published name or asset: `idle.mp4`, `hero_video`."""
    sha256: str
    """64 hex digits."""
    size: int
    """Bytes."""
    mark: MarkFact | None = None
    """Its mark, if it is published with one; hash and size are those of the marked file."""

    def __post_init__(self) -> None:
        checked_sha256(self.sha256)


@dataclass(frozen=True, slots=True)
class ModelFact:
    """One model that took part."""

    name: str
    """Name in the model store."""
    sha256: str
    """Of the file as its makers publish it, which the model store pins."""
    licence: str
    """SPDX name or the maker's wording."""


@dataclass(frozen=True)
class ManifestStep:
    """One asset on the way to the avatar."""

    asset: str
    """Name of the asset."""
    run_id: str
    """The run that made it; an earlier one for a step that was used again."""
    data_version: str
    """Dagster's data version of what it made."""
    upstream: Mapping[str, str] = field(default_factory=dict)
    """Asset -> data version that it was made from."""
    code_version: str | None = None
    """Version of the asset's code."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Its step record and cost, flat, unchanged from the event log."""

    @property
    def cost(self) -> float | None:
        """What the step cost; None when that is not known."""
        cost = self.facts.get("cost")
        return float(cost) if isinstance(cost, int | float) else None


@dataclass(frozen=True)
class Manifest:
    """What made one publication of an avatar."""

    avatar_id: str
    """The avatar."""
    run_id: str
    """The run that published it."""
    made_at: datetime
    """When, UTC."""
    package_version: str
    """Version of this software."""
    engine: str
    """Name of the engine that rendered."""
    engine_version: str
    """Its version."""
    parameters: Mapping[str, Any]
    """Render parameters, all of them, resolved."""
    inputs: Sequence[FileFact]
    """Portrait, and clip or motion script, as they were read."""
    outputs: Sequence[FileFact]
    """Files that were published."""
    steps: Sequence[ManifestStep]
    """Every asset in order of making, the publishing one last."""
    models: Sequence[ModelFact] = ()
    """Models that took part."""
    performance: str | None = None
    """The built-in performance in the clip's place, if there is no clip."""
    requested: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that were asked for, all of them, resolved; `parameters` may be gentler, where the
    idle could not be encoded otherwise. Empty where a run of some assets alone published."""

    @property
    def own_steps(self) -> list[ManifestStep]:
        """The steps that this run itself made."""
        return [step for step in self.steps if step.run_id == self.run_id]

    @property
    def total(self) -> RunTotal:
        """What this run took and cost."""
        return run_total(step.facts for step in self.own_steps)

    @property
    def cost(self) -> float | None:
        """What this run cost; None when a step of it has no price."""
        return self.total.cost

    @property
    def seconds(self) -> float:
        """Wall seconds of this run's steps."""
        return self.total.seconds

    @property
    def devices(self) -> list[str]:
        """Devices that this run's steps ran on, in order of use."""
        return list(
            dict.fromkeys(
                str(step.facts["device"]) for step in self.own_steps if "device" in step.facts
            )
        )

    @property
    def price_books(self) -> list[tuple[str, str]]:
        """(price book, currency) of this run's costs, usually one."""
        return list(
            dict.fromkeys(
                (str(step.facts["price_book"]), str(step.facts.get("cost_currency", "")))
                for step in self.own_steps
                if "price_book" in step.facts
            )
        )

    def to_bytes(self) -> bytes:
        """As it is published: JSON, camelCase like the avatar's document, equal for equal facts."""
        total = self.total
        document = {
            "schema": SCHEMA,
            "avatarId": self.avatar_id,
            "runId": self.run_id,
            "madeAt": self.made_at.astimezone(UTC).isoformat(),
            "packageVersion": self.package_version,
            "engine": {"name": self.engine, "version": self.engine_version},
            "devices": self.devices,
            **({} if self.performance is None else {"performance": self.performance}),
            "parameters": dict(self.parameters),
            "requested": dict(self.requested),
            "models": [
                {"name": model.name, "sha256": model.sha256, "licence": model.licence}
                for model in self.models
            ],
            "inputs": [_file(item) for item in self.inputs],
            "outputs": [_file(item) for item in self.outputs],
            "seconds": round(total.seconds, 6),
            "cost": {
                "amount": total.cost,
                "currency": total.currency,
                "priceBook": total.price_book,
            },
            "steps": [_step(step, self.run_id) for step in self.steps],
        }
        text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
        return (text + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes, *, where: object = None) -> "Manifest":
        """Read a manifest; sums in it are worked out anew.

        Raises:
            CostError: it is no manifest, or of a newer version.
        """
        try:
            return _parsed(content)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as damage:
            raise CostError(
                f"This is no manifest: {damage}", where=where, code="manifest"
            ) from damage

    def save(self, path: Path) -> None:
        """Write it beside `path`, sync, rename.

        Raises:
            StoreError: it cannot be written.
        """
        with replaced(path) as part:
            part.write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read it from a file.

        Raises:
            CostError: it is no manifest.
            StoreError: it cannot be read.
        """
        with store_errors("read", path), path.open("rb") as file:
            return cls.from_bytes(file.read(MAX_BYTES + 1), where=path)


def checked_sha256(text: str) -> str:
    """The text, if it is a hash.

    Raises:
        CostError: it is not 64 hex digits in lower case.
    """
    if not _SHA256.fullmatch(text):
        raise CostError(
            f"{text[:80]!r} is no sha256", remedy="64 hex digits are wanted.", code="manifest"
        )
    return text


def sha256_of(path: Path) -> str:
    """Hash of a file's content, read in pieces.

    Raises:
        StoreError: it cannot be read.
    """
    digest = hashlib.sha256()
    with store_errors("read", path), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def file_fact(path: Path, name: str | None = None) -> FileFact:
    """A file's hash and size, under its own name or another."""
    return FileFact(name or path.name, sha256_of(path), path.stat().st_size)


def _parsed(content: bytes) -> Manifest:
    """Raises what Python raises for damage; `Manifest.from_bytes` names it."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"{len(content)} bytes are too many")
    raw = json.loads(content)
    if raw["schema"] != SCHEMA:
        raise ValueError(f"it is of version {raw['schema']}, this reads {SCHEMA}")
    made_at = datetime.fromisoformat(raw["madeAt"])
    if made_at.tzinfo is None:
        raise ValueError("its instant has no time zone")
    return Manifest(
        avatar_id=str(raw["avatarId"]),
        run_id=str(raw["runId"]),
        made_at=made_at.astimezone(UTC),
        package_version=str(raw["packageVersion"]),
        engine=str(raw["engine"]["name"]),
        engine_version=str(raw["engine"]["version"]),
        performance=None if raw.get("performance") is None else str(raw["performance"]),
        parameters=dict(raw["parameters"]),
        inputs=[_read_file(item) for item in raw["inputs"]],
        outputs=[_read_file(item) for item in raw["outputs"]],
        steps=[_read_step(item) for item in raw["steps"]],
        models=[
            ModelFact(str(item["name"]), str(item["sha256"]), str(item["licence"]))
            for item in raw["models"]
        ],
        requested=dict(raw.get("requested", {})),
    )


def _file(item: FileFact) -> dict[str, Any]:
    mark = item.mark
    return {
        "name": item.name,
        "sha256": item.sha256,
        "size": item.size,
        **({} if mark is None else {"mark": asdict(mark)}),
    }


def _read_file(raw: Mapping[str, Any]) -> FileFact:
    mark = raw.get("mark")
    return FileFact(
        str(raw["name"]),
        str(raw["sha256"]),
        int(raw["size"]),
        None
        if mark is None
        else MarkFact(*(str(mark[name]) for name in ("content", "key", "says", "md5"))),
    )


def _step(step: ManifestStep, run_id: str) -> dict[str, Any]:
    return {
        "asset": step.asset,
        "runId": step.run_id,
        "reused": step.run_id != run_id,
        "dataVersion": step.data_version,
        "codeVersion": step.code_version,
        "upstream": dict(step.upstream),
        "facts": dict(step.facts),
    }


def _read_step(raw: Mapping[str, Any]) -> ManifestStep:
    return ManifestStep(
        asset=str(raw["asset"]),
        run_id=str(raw["runId"]),
        data_version=str(raw["dataVersion"]),
        upstream={str(key): str(value) for key, value in raw["upstream"].items()},
        code_version=None if raw["codeVersion"] is None else str(raw["codeVersion"]),
        facts=dict(raw["facts"]),
    )
