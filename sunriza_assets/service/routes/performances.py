"""What there is to choose from: built-in performances, render parameters."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from sunriza_assets.service.context import PrincipalDep
from sunriza_assets.service.etags import tagged_json
from sunriza_assets.service.schemas.catalog import (
    ParameterList,
    PerformanceList,
    ShownParameter,
    ShownPerformance,
)
from sunriza_assets.studio.parameters import (
    CHOICES,
    DEFAULTS,
    MEANINGS,
    RANGES,
    STILL_PARAMETERS,
    allowed_values,
    camel_name,
)
from sunriza_assets.studio.performances.named import DEFAULT_PERFORMANCE, PERFORMANCES
from sunriza_assets.studio.performances.plans import PLANS

__all__ = ["router"]

router = APIRouter(tags=["catalog"])


@router.get("/performances", response_model=PerformanceList, summary="List performances")
async def list_performances(request: Request, principal: PrincipalDep) -> Response:
    """The built-in performances that take the place of a clip."""
    del principal  # any caller
    return tagged_json(request, _PERFORMANCES)


@router.get("/parameters", response_model=ParameterList, summary="List parameters")
async def list_parameters(request: Request, principal: PrincipalDep) -> Response:
    """The render parameters: names, ranges, defaults, meanings."""
    del principal  # any caller
    return tagged_json(request, _PARAMETERS)


def _parameter(name: str) -> ShownParameter:
    default = getattr(DEFAULTS, name)
    low, high = RANGES.get(name, (None, None))
    kind: str = "number" if name in RANGES else "choice" if name in CHOICES else "switch"
    if isinstance(default, int) and kind == "number":
        kind = "integer"
    return ShownParameter.model_validate(
        {
            "name": name,
            "camel_name": camel_name(name),
            "kind": kind,
            "default": default,
            "minimum": low,
            "maximum": high,
            "choices": list(CHOICES[name]) if name in CHOICES else None,
            "allowed": allowed_values(name),
            "meaning": MEANINGS[name],
            "shown_in_still": name in STILL_PARAMETERS,
        }
    )


_PERFORMANCES: Final = PerformanceList(
    performances=[
        ShownPerformance(
            name=name,
            description=one.description,
            seconds=float(PLANS[name].seconds),
            parameters=dict(one.parameters),
        )
        for name, one in PERFORMANCES.items()
    ],
    default=DEFAULT_PERFORMANCE,
)
_PARAMETERS: Final = ParameterList(parameters=[_parameter(name) for name in MEANINGS])
