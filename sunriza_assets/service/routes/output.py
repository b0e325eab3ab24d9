"""Finished files by name: fetched whole or in ranges, and deleted."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from sunriza_assets.service.context import PrincipalDep, ServiceDep
from sunriza_assets.service.sent_outputs import FILE_ANSWERS, remove_output, send_output

__all__ = ["router"]

router = APIRouter(tags=["outputs"])

Filename = Annotated[str, Path(description="Name of the file, as `filename` said.")]


@router.get("/output/{filename}", response_class=Response, responses=FILE_ANSWERS)
async def get_output(
    request: Request, filename: Filename, service: ServiceDep, principal: PrincipalDep
) -> Response:
    """A finished file."""
    return await send_output(request, filename, service, principal)


@router.head("/output/{filename}", response_class=Response, responses=FILE_ANSWERS)
async def head_output(
    request: Request, filename: Filename, service: ServiceDep, principal: PrincipalDep
) -> Response:
    """Size, type and tag of a finished file."""
    return await send_output(request, filename, service, principal)


@router.delete("/output/{filename}", status_code=204, response_class=Response)
async def delete_output(
    filename: Filename, service: ServiceDep, principal: PrincipalDep
) -> Response:
    """Delete a finished file."""
    await remove_output(filename, service, principal)
    return Response(status_code=204)
