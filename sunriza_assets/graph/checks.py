"""Asset checks: what an avatar must fulfil before it is published, and its budget.

A blocking check that fails stops the run before publishing, leaves the former results in place and
the reason on the document. The budget check only warns.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from resources.accounting.event_log import plain_metadata
from resources.services import Stores
from resources.settings import current_settings
from sunriza_assets.errors import SunrizaError
from sunriza_assets.graph.assets.overlay import IdleSheet
from sunriza_assets.graph.assets.run_scope import PUBLISHING_ASSET, publishes
from sunriza_assets.graph.partitions import AVATARS

__all__ = ["CHECKS", "avatar_check", "idle_problems", "loop_problems"]


def avatar_check(
    asset: str, *additional: str, blocking: bool = True
) -> Callable[[Callable[..., dg.AssetCheckResult]], dg.AssetChecksDefinition]:
    """Decorator for a check that is partitioned by avatar, a preview feature of Dagster.

    The result of each avatar is kept: the failure of one hides no other's.

    Args:
        asset: what is checked.
        additional: other assets that the check reads.
        blocking: whether a failure stops the run.
    """
    make = dg.asset_check(
        asset=asset,
        blocking=blocking,
        partitions_def=AVATARS,
        additional_ins={name: dg.AssetIn(name) for name in additional},
    )

    def checked(function: Callable[..., dg.AssetCheckResult]) -> dg.AssetChecksDefinition:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return make(function)

    return checked


def _check_result(
    context: dg.AssetCheckExecutionContext,
    stores: Stores,
    problems: list[str],
    metadata: dict[str, Any],
) -> dg.AssetCheckResult:
    """The check's result with the avatar's name, for lists that show only the latest result.

    A failure is written to the document too, if this run owns it.
    """
    if problems and publishes(context):
        stores.avatars.fail(
            context.partition_key,
            context.run.run_id,
            code="check.failed",
            message=f"The result was not good enough to publish: {'; '.join(problems)}.",
        )
    return dg.AssetCheckResult(
        passed=not problems,
        description=_with_avatar(context, "; ".join(problems) or "nothing is wrong"),
        metadata={
            "avatar": context.partition_key,
            **metadata,
            "problems": dg.MetadataValue.json(problems),
        },
    )


def _with_avatar(context: dg.AssetCheckExecutionContext, finding: str) -> str:
    """A finding, prefixed with the avatar's id."""
    return f"{context.partition_key}: {finding}"


@avatar_check("idle_video")
def idle_plays(
    context: dg.AssetCheckExecutionContext, idle_video: Path, stores: Stores
) -> dg.AssetCheckResult:
    """A phone would play idle.mp4: H.264, yuv420p, even, constant rate, no audio, and so on."""
    problems, metadata = idle_problems(idle_video)
    return _check_result(context, stores, problems, metadata)


def idle_problems(idle_video: Path) -> tuple[list[str], dict[str, Any]]:
    """Problems that prevent publishing an idle, and its metadata.

    The frames it was encoded from are gone by now; its similarity was measured when it was encoded.

    Args:
        idle_video: the folder with idle.mp4 and idle.json.
    """
    from sunriza_assets.studio.media.budget import MIN_SSIM
    from sunriza_assets.studio.media.conform import judge_own

    sheet = IdleSheet.load(idle_video)
    found = judge_own(idle_video / "idle.mp4", frame_count=sheet.frame_count, rate=sheet.rate)
    problems = list(found.problems)
    if not sheet.mean_ssim >= MIN_SSIM:
        problems.append(f"ssim: {sheet.mean_ssim:.4f}, below {MIN_SSIM}")
    return problems, {
        "frame_count": sheet.frame_count,
        "frame_rate": f"{sheet.rate.numerator}/{sheet.rate.denominator}",
        "mean_ssim": sheet.mean_ssim,
        "looked_at": dg.MetadataValue.json([f"{f.name}: {f.detail}" for f in found.findings]),
    }


@avatar_check("idle_video")
def idle_lasts(
    context: dg.AssetCheckExecutionContext, idle_video: Path, stores: Stores
) -> dg.AssetCheckResult:
    """idle.mp4 lasts as long as was planned, and not longer than a clip may."""
    from sunriza_assets.studio.media.probe import describe_own

    sheet = IdleSheet.load(idle_video)
    info = describe_own(idle_video / "idle.mp4")
    planned = float(sheet.frame_count / sheet.rate)
    problems = []
    if abs(float(info.duration) - planned) > 0.5 / sheet.rate:
        problems.append(f"it lasts {float(info.duration):.3f} s, planned were {planned:.3f} s")
    if not 0.2 <= planned <= 10.1:
        problems.append(f"{planned:.2f} s is no length for an idle")
    metadata = {"duration_s": float(info.duration)}
    performance = sheet.content.get("performance")
    if performance is not None:
        metadata["performance"] = performance
    return _check_result(context, stores, problems, metadata)


@avatar_check("idle_video")
def idle_loops(
    context: dg.AssetCheckExecutionContext, idle_video: Path, stores: Stores
) -> dg.AssetCheckResult:
    """The step from the last frame to the first is no larger than the idle's ordinary steps."""
    problems, metadata = loop_problems(idle_video)
    return _check_result(context, stores, problems, metadata)


def loop_problems(idle_video: Path) -> tuple[list[str], dict[str, Any]]:
    """Jumps of an idle where its loop closes, and its seam figures.

    Motion is held to the 95th percentile of its ordinary steps, curve by curve as the engine
    planned it; pixels may exceed theirs by what encoding adds.

    Args:
        idle_video: the folder with idle.mp4 and idle.json.
    """
    from sunriza_assets.studio.media.frames import read_luma
    from sunriza_assets.studio.media.seam import MAX_SEAM_RATIO, seam_ratio

    sheet = IdleSheet.load(idle_video).content
    if not sheet["parameters"]["loop"]:
        return [], {"looped": False}
    planned = sheet["facts"].get("loop", {}).get("seam", {})
    problems = [
        f"its {name} jumps where it loops ({ratio:.2f} times an ordinary step)"
        for name, ratio in planned.items()
        if not ratio <= 1.0
    ]
    ratio = seam_ratio(read_luma(idle_video / "idle.mp4"))
    if not ratio <= MAX_SEAM_RATIO:
        problems.append(f"it jumps where it loops ({ratio:.2f} times an ordinary step)")
    return problems, {
        "looped": True,
        "seam_ratio": round(ratio, 3),
        **{f"seam_{name}": ratio for name, ratio in planned.items()},
    }


@avatar_check("mask", "idle_video")
def mask_fits(
    context: dg.AssetCheckExecutionContext, mask: Path, idle_video: Path, stores: Stores
) -> dg.AssetCheckResult:
    """The mask is as large as a cell, lies inside the frame and covers some of the mouth."""
    from sunriza_assets.studio.overlay.mask import mask_problems

    sheet = IdleSheet.load(idle_video)
    return _check_result(context, stores, mask_problems(mask, sheet.size), {})


@avatar_check("roi", "idle_video")
def roi_fits(
    context: dg.AssetCheckExecutionContext, roi: Path, idle_video: Path, stores: Stores
) -> dg.AssetCheckResult:
    """The mouth's rectangle lies inside the frame, and every idle frame has its transform."""
    from sunriza_assets.studio.contracts.roi import roi_problems

    sheet = IdleSheet.load(idle_video)
    try:
        problems = roi_problems(json.loads(roi.read_text()), sheet.size, sheet.frame_count)
    except (SunrizaError, ValueError) as error:
        problems = [str(error)]
    return _check_result(context, stores, problems, {})


@avatar_check(PUBLISHING_ASSET.to_user_string(), blocking=False)
def within_budget(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Making the avatar cost no more than SUNRIZA_BUDGET allows; warns, and stops nothing.

    The amount is for one run that publishes, in the currency of the price book in use.
    """
    budget = current_settings().budget
    if budget is None:
        return dg.AssetCheckResult(
            passed=True,
            description=_with_avatar(context, "SUNRIZA_BUDGET sets no budget"),
            metadata={"avatar": context.partition_key},
        )
    wanted = dg.AssetRecordsFilter(
        asset_key=PUBLISHING_ASSET, asset_partitions=[context.partition_key]
    )
    records = context.instance.fetch_materializations(wanted, limit=1).records
    made = records[0].asset_materialization if records else None
    metadata = plain_metadata(made.metadata) if made is not None else {}
    problem = _over_budget(budget, metadata)
    return dg.AssetCheckResult(
        passed=problem is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=_with_avatar(context, problem or "within the budget"),
        metadata={
            "avatar": context.partition_key,
            "budget": budget,
            **{
                name: metadata[name]
                for name in ("run_cost", "cost_currency", "price_book", "run_seconds")
                if name in metadata
            },
        },
    )


def _over_budget(budget: float, metadata: Mapping[str, Any]) -> str | None:
    """The problem with the cost of a run, or None."""
    cost, currency = metadata.get("run_cost"), metadata.get("cost_currency", "")
    if cost is None:
        return "What it cost is not known: a step of the run has no price"
    if cost > budget:
        return f"It cost {cost:.3g} {currency}, the budget is {budget:.3g}"
    return None


CHECKS = [idle_plays, idle_lasts, idle_loops, mask_fits, roi_fits, within_budget]
