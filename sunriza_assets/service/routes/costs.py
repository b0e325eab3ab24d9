"""What the caller's avatars and calls have cost, and what a run would take."""

import re
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from resources.avatars.document import AvatarDocument
from sunriza_assets.service.context import PrincipalDep, Service, ServiceDep, in_thread
from sunriza_assets.service.creating import checked_performance_name
from sunriza_assets.service.etags import tagged_json
from sunriza_assets.service.forms import parameters_in
from sunriza_assets.service.own_avatars import find_avatar, listed_owner
from sunriza_assets.service.schemas.costs import CostGrouping, Costs, ForecastAnswer
from sunriza_assets.studio.parameters import RenderParameters, resolve
from sunriza_assets.studio.performances.plans import PLANS

__all__ = ["router"]

router = APIRouter(tags=["costs"])

_MOST_AVATARS: Final = 2_000
"""Newest avatars of a caller whose runs are summed up."""
_PAGE: Final = 100
_CLIP_RATE: Final = Fraction(25)
_PERFORMANCE_RATE: Final = Fraction(25)


def _iso_day(text: object) -> object:
    """A day as it is written in ISO 8601; pydantic alone would take seconds since 1970, too."""
    if isinstance(text, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError("is no day such as 2026-01-31")
    return text


@router.get(
    "/costs",
    response_model=Costs,
    responses={200: {"content": {"text/csv": {}}}},
    summary="What was spent",
)
async def show_costs(
    request: Request,
    service: ServiceDep,
    principal: PrincipalDep,
    by: Annotated[
        CostGrouping,
        Query(description="`kind`: runs of avatars, or direct calls by what they do."),
    ] = "day",
    since: Annotated[
        date | None,
        BeforeValidator(_iso_day),
        Query(description="First day, UTC, such as 2026-01-31; 90 days back without it."),
    ] = None,
    form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
) -> Response:
    """Runs of the caller's avatars, and its direct calls, as they were booked. A run appears
    within a minute or with the next run; runs of deleted avatars do not."""
    first = since or (datetime.now(UTC) - timedelta(days=90)).date()
    begin = datetime.combine(first, time.min, UTC)

    def read() -> Costs:
        from sunriza_assets.service.spending import costs_of

        owner = listed_owner(principal)
        ids = () if owner is None else _own_ids(service, owner)
        return costs_of(service.home, by=by, since=begin, owner=owner, avatar_ids=ids)

    costs = await in_thread(read)
    if form == "csv":
        from sunriza_assets.service.spending import to_csv

        return Response(
            to_csv(costs),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="costs-by-{by}.csv"'},
        )
    return tagged_json(request, costs)


@router.get("/forecast", summary="What a run would take")
async def show_forecast(
    service: ServiceDep,
    principal: PrincipalDep,
    avatar_id: Annotated[
        str | None, Query(max_length=200, description="Of which avatar; its inputs are known.")
    ] = None,
    clip_seconds: Annotated[
        float | None, Query(gt=0, le=3600, description="Length of the clip; 10 without it.")
    ] = None,
    performance: Annotated[str | None, Query(max_length=100)] = None,
    parameters: Annotated[
        str | None,
        Query(
            max_length=2500,
            pattern="^[ -~]*$",
            description="Render parameters as a JSON object, in ASCII.",
        ),
    ] = None,
) -> ForecastAnswer:
    """Seconds and cost of a run with these parameters, learned from the newest similar runs."""
    document = None if avatar_id is None else await find_avatar(service, principal, avatar_id)
    wishes = {} if document is None else dict(document.wishes)
    effective = resolve({**wishes, **parameters_in(parameters)})
    moved_by = performance or (document.performance if document else None)
    if moved_by is not None:
        checked_performance_name(moved_by)
    facts = await service.engine.facts()
    engine = facts.engine if effective.engine == "auto" else effective.engine

    def estimate() -> ForecastAnswer:
        from sunriza_assets.service.spending import CoarseWish, forecast_of

        wish = CoarseWish(
            engine=engine,
            gpu_name=facts.gpu_name,
            clip_seconds=_seconds(effective, clip_seconds, moved_by),
            rate=_PERFORMANCE_RATE if moved_by else effective.output_rate(_CLIP_RATE),
            same_clip=moved_by is not None or _is_same(document, "video"),
            same_portrait=_is_same(document, "image"),
        )
        return forecast_of(service.home, wish)

    return await in_thread(estimate)


def _seconds(
    parameters: RenderParameters, clip_seconds: float | None, performance: str | None
) -> Fraction:
    """Seconds of the clip that are used."""
    if performance is not None:
        return Fraction(PLANS[performance].seconds)
    longest = Fraction(parameters.max_seconds)
    return longest if clip_seconds is None else min(longest, Fraction(clip_seconds))


def _is_same(document: AvatarDocument | None, name: str) -> bool:
    """Whether an input of the avatar was used for what is published."""
    if document is None or document.record.current is None:
        return False
    used = document.record.inputs.get(name)
    return used is not None and used == document.inputs[name]


def _own_ids(service: Service, owner: str) -> list[str]:
    """Ids of a user's newest avatars."""
    ids: list[str] = []
    cursor = None
    while len(ids) < _MOST_AVATARS:
        page = service.stores.avatars.page(owner, sort="created", limit=_PAGE, cursor=cursor)
        ids += [change.avatar_id for change in page.changes]
        cursor = page.cursor
        if cursor is None:
            break
    return ids
