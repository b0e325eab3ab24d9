"""Looking at a portrait and a clip before anything is stored."""

from typing import Final

from fastapi import APIRouter, Request

from sunriza_assets.errors import ParameterError
from sunriza_assets.service.context import PrincipalDep, ServiceDep
from sunriza_assets.service.forms import form_schema, parameters_of
from sunriza_assets.service.schemas.inspection import Inspection, ShownUpload
from sunriza_assets.service.uploads import UploadRules, uploaded

__all__ = ["FILE_FIELD", "router"]

router = APIRouter(tags=["avatars"])

FILE_FIELD: Final = {"type": "string", "contentMediaType": "application/octet-stream"}
"""A file in a form's OpenAPI description."""
_NAMES: Final = ("portrait", "clip")
_RULES: Final = UploadRules(files=_NAMES, max_files=2)


@router.post(
    "/inspect",
    response_model=Inspection,
    summary="Look at a portrait and a clip",
    openapi_extra=form_schema({
        "portrait": {**FILE_FIELD, "description": "JPEG, PNG, WebP, AVIF or HEIC, 50 MB at most."},
        "clip": {**FILE_FIELD, "description": "MP4, MOV, WebM or MKV, 50 MB at most."},
        "parameters": {
            "type": "string",
            "description": "Render parameters as a JSON object; `maxSeconds` says how much of the"
            " clip is used.",
        },
    }),
)  # fmt: skip
async def inspect_inputs(
    request: Request, service: ServiceDep, principal: PrincipalDep
) -> Inspection:
    """Whether a face is found, how it stands, what the light is like, how long the clip is. Nothing
    is kept."""
    async with uploaded(request, _RULES) as form:
        files = {name: found for name in _NAMES if (found := form.file(name)) is not None}
        if not files:
            raise ParameterError(
                "There is nothing to look at", remedy="Send portrait, clip, or both.", code="files"
            )
        findings = await service.engine.inspect(
            files["portrait"].path if "portrait" in files else None,
            files["clip"].path if "clip" in files else None,
            parameters_of(form),
            owner=principal.uid,
        )
        return Inspection.of(
            [dict(one) for one in findings],
            {
                name: ShownUpload(kind=one.kind.name, size=one.size, sha256=one.sha256)
                for name, one in files.items()
            },
        )
