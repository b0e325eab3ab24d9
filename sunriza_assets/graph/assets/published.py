"""The publishing asset: uploads the results to the app's paths, all at once or not at all."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from resources.accounting.step_watch import priced
from resources.engines.choice import models_of
from resources.home import Home
from resources.media_io import run_of_files
from resources.publishing.marked_files import MarkedFiles, former_publication, mark_of
from resources.publishing.provenance import input_files, upstream_steps
from resources.publishing.publication import FILES, confirm_publication, publish_avatar
from resources.publishing.reuse import REUSED_FROM, record_of_reuse, source_run
from resources.publishing.versions import publish_draft
from resources.services import ProgressReporter, Stores
from resources.serving.media_server import link
from resources.storage.logged_urls import logged
from resources.storage.objects import MediaStorage
from sunriza_assets import __version__
from sunriza_assets.costs.archive import ARCHIVE_FOLDER, ManifestArchive
from sunriza_assets.costs.manifest import (
    MANIFEST_NAME,
    Manifest,
    ManifestStep,
    ModelFact,
)
from sunriza_assets.errors import CostError, StoreError
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.avatar_asset import avatar_asset
from sunriza_assets.graph.assets.edge import Step, avatar_step
from sunriza_assets.graph.assets.metadata import first_frame_preview
from sunriza_assets.graph.assets.overlay import IdleSheet
from sunriza_assets.graph.assets.progress import run_forecast
from sunriza_assets.graph.assets.run_scope import is_draft, launchpad_parameters
from sunriza_assets.studio.parameters import (
    RenderParameters,
    canonical,
    overridden,
    resolve,
)

__all__ = ["published_avatar"]


@avatar_asset(group=tags.GROUP_PUBLISHED, kinds={"firestore", "gcs"}, stored=False)
def published_avatar(
    context: dg.AssetExecutionContext,
    idle_video: Path,
    atlas: Path,
    mask: Path,
    roi: Path,
    idle_extras: Path,
    stores: Stores,
    board: ProgressReporter,
) -> dg.MaterializeResult[None]:
    """Idle, atlas, mask, ROI and manifest under the bucket paths that the document names: `ready`.

    A run that no longer owns its avatar publishes nothing. A run of a draft stores the same files
    in a folder of their own, which no document names.
    """
    with avatar_step(context, stores, board) as step:
        sheet = IdleSheet.load(idle_video).content
        performance = sheet.get("performance")
        files = {
            "idle.mp4": idle_video / "idle.mp4",
            "atlas.jpg": atlas / "atlas.jpg",
            "atlas.json": atlas / "atlas.json",
            "mask.png": mask,
            "roi.json": roi,
            **{name: extra for name in FILES if (extra := idle_extras / Path(name).name).exists()},
        }
        builder = ManifestBuilder(step, stores.storage, sheet, files, {
            "idle_video": run_of_files(idle_video),
            "atlas": run_of_files(atlas),
            "mask": run_of_files(mask),
            "roi": run_of_files(roi),
            "idle_extras": run_of_files(idle_extras),
        })  # fmt: skip
        if is_draft(context.run):
            return _stored_draft(step, stores, builder)
        parameters = RenderParameters(**sheet["parameters"])
        publication: dict[str, Any] = {
            "parameters": parameters.to_document(),
            "overridden": overridden(step.document.wishes, parameters),
        }
        target = (stores.storage, stores.avatars, step.avatar_id, context.run.run_id)
        document = None
        if not step.forced:
            with step.watch.stage("compare"):
                document = confirm_publication(
                    *target,
                    expected_md5=builder.expected_md5,
                    scratch=step.folder,
                    **publication,
                )
        current = document.record.current if document is not None else None
        if document is None:
            with step.watch.stage("mark"):
                marked = builder.marked.paths
            with step.watch.stage("upload"):
                document = publish_avatar(
                    *target, files={**marked, MANIFEST_NAME: builder.write}, **publication
                )
        with step.watch.stage("preview"):
            pictures = first_frame_preview(files["idle.mp4"])
        shown = logged(document.plain["dynamics"]["basic"])
        urls = {name: url for name, url in sorted(shown.items()) if name.endswith("Url")}
        return dg.MaterializeResult(
            metadata={
                **pictures,
                "open": dg.MetadataValue.url(link(urls["idleVideoUrl"])),
                **{name: dg.MetadataValue.url(link(url)) for name, url in urls.items()},
                "files": dg.MetadataValue.json(list(urls.values())),
                **({"performance": performance} if performance is not None else {}),
                "parameters": dg.MetadataValue.json(sheet["parameters"]),
                "document": dg.MetadataValue.json(shown),
                **(
                    builder.metadata()
                    if current is None
                    else builder.reused_metadata(current.run_id)
                ),
            },
            data_version=dg.DataVersion(current.run_id if current else context.run.run_id),
        )


def _stored_draft(
    step: Step, stores: Stores, builder: "ManifestBuilder"
) -> dg.MaterializeResult[None]:
    """Store a run's result as a draft."""
    run_id = step.context.run.run_id
    with step.watch.stage("mark"):
        marked = builder.marked.paths
    with step.watch.stage("upload"):
        version = publish_draft(
            stores.storage,
            stores.avatars,
            step.avatar_id,
            run_id,
            files={**marked, MANIFEST_NAME: builder.write},
        )
    with step.watch.stage("preview"):
        pictures = first_frame_preview(marked["idle.mp4"])
    return dg.MaterializeResult(
        metadata={**pictures, "draft": version, **builder.metadata()},
        data_version=dg.DataVersion(run_id),
    )


class ManifestBuilder:
    """Builds the manifest of a publication, written when only the manifest is left to upload.

    A manifest cannot contain the time of its own upload. So the step's record ends where the
    manifest is written, in both; the seconds after it are reported as `unbooked_s` and not billed.
    """

    def __init__(
        self,
        step: Step,
        storage: MediaStorage,
        sheet: Mapping[str, Any],
        files: Mapping[str, Path],
        made_by: Mapping[str, str],
    ) -> None:
        self._step = step
        self._sheet = sheet
        self._made_by = made_by
        self.marked = MarkedFiles(
            files,
            lambda name: mark_of(
                name, sheet["engine"], sheet["engine_version"], input_files(self._upstream)
            ),
            lambda: former_publication(
                storage, step.avatar_id, step.document.record, step.folder / "former"
            ),
            step.folder / "marked",
        )
        """The files as they are published, without the manifest."""
        self._facts: dict[str, Any] | None = None
        self._manifest: Manifest | None = None

    def expected_md5(self, manifest: Path) -> dict[str, str] | None:
        """MD5 by name of the files of an earlier run's publication, if this one's would be equal.

        Args:
            manifest: of the earlier run.

        Returns:
            None if it describes something else.

        Raises:
            StoreError: it cannot be read.
        """
        try:
            former = Manifest.load(manifest)
        except CostError:  # damaged, or of another version
            return None
        return self.marked.published_md5(former.outputs) if self._matches(former) else None

    def _matches(self, former: Manifest) -> bool:
        """Whether an earlier run had the same inputs, parameters, code and models."""
        context, engine = self._step.context, self._sheet["engine"]
        own = next((step for step in former.steps if step.asset == _name(context)), None)
        return (
            own is not None
            and own.code_version == context.assets_def.code_versions_by_key[context.asset_key]
            and former.inputs == input_files(self._upstream)
            and (former.engine, former.engine_version) == (engine, self._sheet["engine_version"])
            and former.parameters == self._sheet["parameters"]
            and self._requested in ({}, former.requested)
            and former.models == self._models(engine)
        )

    def reused_metadata(self, run_id: str) -> dict[str, Any]:
        """Metadata for a run that leaves the publication of an earlier one in place."""
        own = [step for step in self._upstream if step.run_id == self._step.context.run.run_id]
        costs = [step.cost for step in own]
        expected = run_forecast(self._step.context.run.run_id)
        return {
            **(_estimated(expected.initial.to_dict()) if expected else {}),
            REUSED_FROM: dg.MetadataValue.dagster_run(run_id),
            "run_seconds": round(sum(float(step.facts.get("wall_s", 0.0)) for step in own), 6),
            **({"run_cost": sum(cost or 0.0 for cost in costs)} if None not in costs else {}),
            **priced(record_of_reuse(self._step.watch.record(), None)),
        }

    @cached_property
    def _upstream(self) -> list[ManifestStep]:
        return upstream_steps(self._step.context.instance, self._step.avatar_id, self._made_by)

    @cached_property
    def _requested(self) -> dict[str, Any]:
        """The requested parameters; empty if this run did not make or check each upstream asset."""
        context, avatar_id = self._step.context, self._step.avatar_id
        run_id = context.run.run_id
        seen = (
            source_run(context.instance, dg.AssetKey(step.asset), avatar_id, run_id)
            for step in self._upstream
        )
        if not all(seen):
            return {}
        from sunriza_assets.studio.performances.named import with_performance_defaults

        document = self._step.document
        requested = canonical(document.wishes) | launchpad_parameters(context.run)
        return resolve(with_performance_defaults(document.performance, requested)).to_dict()

    @staticmethod
    def _models(engine: str) -> list[ModelFact]:
        models = models_of(engine, Home.from_environment().models)
        return [ModelFact(one.name, one.sha256, one.licence) for one in models]

    def write(self) -> Path:
        """Write the manifest with the records of all steps; returns its path."""
        context, step = self._step.context, self._step
        with step.watch.stage("manifest"):
            outputs = self.marked.facts
            upstream = self._upstream
            engine = self._sheet["engine"]
            models = self._models(engine)
        step.watch.count(bytes_out=sum(item.size for item in outputs))
        versions = {item.asset: item.data_version for item in upstream}
        self._facts = step.costs()
        last = ManifestStep(
            asset=_name(context),
            run_id=context.run.run_id,
            data_version=context.run.run_id,
            upstream={asset: versions.get(asset, "") for asset in self._made_by},
            code_version=context.assets_def.code_versions_by_key[context.asset_key],
            facts=self._facts,
        )
        self._manifest = Manifest(
            avatar_id=step.avatar_id,
            run_id=context.run.run_id,
            made_at=datetime.now(UTC),
            package_version=__version__,
            engine=engine,
            engine_version=self._sheet["engine_version"],
            performance=self._sheet.get("performance"),
            parameters=self._sheet["parameters"],
            inputs=input_files(upstream),
            outputs=outputs,
            steps=[*upstream, last],
            models=models,
            requested=self._requested,
        )
        path = step.folder / MANIFEST_NAME
        self._manifest.save(path)
        return path

    def metadata(self) -> dict[str, Any]:
        """The step's record, exactly as in the manifest, and the run's totals and forecast."""
        manifest = self._manifest
        if self._facts is None or manifest is None:  # this run had published before it died
            return self._step.costs()
        self._archive(manifest)
        expected = run_forecast(manifest.run_id)
        sums = {"run_seconds": round(manifest.seconds, 6), "run_cost": manifest.cost}
        return {
            **self._facts,
            **{name: value for name, value in sums.items() if value is not None},
            **(_estimated(expected.initial.to_dict()) if expected else {}),
            "unbooked_s": round(self._step.watch.elapsed_s - self._facts["wall_s"], 6),
        }

    def _archive(self, manifest: Manifest) -> None:
        """Archive the manifest, so that a file's hash finds it after a later publication."""
        archive = ManifestArchive(Home.from_environment().reports / ARCHIVE_FOLDER)
        try:
            archive.add(manifest)
        except StoreError as error:  # the publication has its own copy
            self._step.context.log.warning("The manifest is not kept beside the reports: %s", error)


def _name(context: dg.AssetExecutionContext) -> str:
    return context.asset_key.to_user_string()


def _estimated(forecast: Mapping[str, Any]) -> dict[str, Any]:
    """The estimate of a forecast, without book and currency, which the metadata has already."""
    return {
        name: value
        for name, value in forecast.items()
        if name in ("eta_s", "expected_cost", "estimate_basis", "estimate_clip_frames")
    }
