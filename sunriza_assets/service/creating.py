"""Making and changing avatars for the service: from an uploaded form to a document and a job."""

import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from resources.avatars.adding import AvatarInputs, change_avatar, create_avatar, new_avatar_id
from resources.avatars.document import AvatarDocument
from resources.avatars.ids import checked_avatar_id
from resources.avatars.store import id_in_use
from resources.orders.order import Order
from sunriza_assets.errors import (
    AvatarError,
    LimitError,
    MediaError,
    ParameterError,
    did_you_mean,
)
from sunriza_assets.service.asking import DynamicsWish, ask_for_dynamics
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service, in_thread
from sunriza_assets.service.forecast import run_seconds
from sunriza_assets.service.forms import number_of, parameters_of, switch_of
from sunriza_assets.service.own_avatars import listed_owner
from sunriza_assets.service.schemas.inspection import ShownFinding
from sunriza_assets.service.uploads import UploadedFile, UploadedForm
from sunriza_assets.studio.media.sniff import Medium
from sunriza_assets.studio.performances.named import PERFORMANCES

__all__ = [
    "FIELDS",
    "AvatarForm",
    "avatar_form",
    "check_new_avatar",
    "checked_performance_name",
    "create_from",
    "render_avatar",
    "update_from",
]

FIELDS: Final = frozenset(
    {"id", "name", "performance", "parameters", "consent", "check", "render"}
    | {"trim_start", "trim_end"}
)
"""Names of a form's fields."""
LONGEST_S: Final = 11.0
"""Seconds of a clip after trimming; the app lets 10.9 s pass."""
_NAME_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class AvatarForm:
    """A form about an avatar, checked; its files are there until the form's block ends."""

    avatar_id: str | None = None
    """The wanted id."""
    inputs: AvatarInputs = field(default_factory=AvatarInputs)
    """What to make it of, or to change."""
    portrait_sha256: str | None = None
    """Hash of the portrait, for the declaration of consent."""
    consent: bool = False
    """Whether the caller has declared that the person shown agrees."""
    render: bool | None = None
    """Whether a run is asked for; None if nothing was said."""
    findings: Sequence[ShownFinding] = ()
    """What the input coach advises."""


@asynccontextmanager
async def avatar_form(
    service: Service, principal: Principal, form: UploadedForm
) -> AsyncIterator[AvatarForm]:
    """Check a form, trim its clip, and let the engine look at its files.

    Raises:
        ParameterError: a field that is unknown or wrong.
        MediaError: a file that is of the wrong kind or cannot work.
        LimitError: the engine has enough trims to do.
    """
    _check_names(form)
    inputs = AvatarInputs(
        portrait=_file(form, "portrait", Medium.PICTURE),
        clip=_file(form, "clip", Medium.CLIP),
        performance=_performance(form.field("performance")),
        name=_name(form.field("name")),
        parameters=parameters_of(form),
    )
    inputs.check()
    trim = _trim(form)
    if trim is not None and inputs.clip is None:
        raise ParameterError("There is no clip to trim", code="trim")
    trimmed = service.uploads_folder / f"{secrets.token_hex(16)}.mp4"
    try:
        if trim is not None and inputs.clip is not None:
            await service.engine.trim(inputs.clip, *trim, trimmed, owner=principal.uid)
            inputs = _with_clip(inputs, trimmed)
        findings: Sequence[ShownFinding] = ()
        if switch_of(form, "check", default=True):
            findings = await _look(service, principal, inputs)
        portrait = form.file("portrait")
        yield AvatarForm(
            avatar_id=form.field("id") or None,
            inputs=inputs,
            portrait_sha256=portrait.sha256 if portrait else None,
            consent=switch_of(form, "consent", default=False),
            render=None
            if form.field("render") is None
            else switch_of(form, "render", default=True),
            findings=findings,
        )
    finally:
        await in_thread(trimmed.unlink, missing_ok=True)


async def check_new_avatar(service: Service, form: UploadedForm) -> str:
    """The id of a new avatar; refuses what needs no look at the files, before they are looked at.

    Raises:
        ConflictError: `conflict.exists` the id is in use, whoever has it.
        ParameterError: there is no portrait, the id is none, or consent is missing.
    """
    portrait = form.file("portrait")
    if portrait is None:
        raise ParameterError("There is no portrait", remedy="Send it as portrait.", code="portrait")
    _check_consent(service, switch_of(form, "consent", default=False))
    wanted = form.field("id")
    if not wanted:
        return new_avatar_id()
    try:
        await in_thread(service.stores.avatars.get, checked_avatar_id(wanted))
    except AvatarError as error:
        if error.code == "avatar.id":
            raise ParameterError(error.what, remedy=error.remedy, code="id") from error
        if error.code == "avatar.missing":
            return wanted
    raise id_in_use(wanted)


def create_from(
    service: Service, principal: Principal, avatar_id: str, form: AvatarForm
) -> AvatarDocument:
    """Upload and create an avatar; blocking.

    Raises:
        ConflictError: `conflict.exists` the id is in use, whoever has it.
        ParameterError: consent is missing.
    """
    inputs = _with_training(service, principal, form, is_new=True)
    try:
        return create_avatar(
            service.stores.avatars,
            service.stores.storage,
            avatar_id,
            inputs,
            owner=listed_owner_of(principal),
        )
    except AvatarError as error:
        if error.code in ("avatar.owner", "avatar.deleted"):
            raise id_in_use(avatar_id) from error
        raise


def update_from(
    service: Service, principal: Principal, avatar_id: str, form: AvatarForm
) -> AvatarDocument:
    """Upload and change an avatar; blocking.

    Raises:
        AvatarError: it is gone, or somebody else's by now.
        ParameterError: consent is missing.
    """
    inputs = _with_training(service, principal, form, is_new=False)
    return change_avatar(
        service.stores.avatars,
        service.stores.storage,
        avatar_id,
        inputs,
        owner=listed_owner(principal),
    )


def render_avatar(
    service: Service, principal: Principal, document: AvatarDocument, request_id: str | None
) -> Order:
    """Ask for a run of an avatar; blocking.

    Raises:
        LimitError, CreditsError: as `OrderStore.accept`.
    """
    accepted = ask_for_dynamics(
        service,
        principal,
        document,
        DynamicsWish(document.avatar_id),
        answer=lambda _order, _outcome: {},
        eta_s=run_seconds(service, document),
        request_id=request_id,
    )
    return accepted.order


def listed_owner_of(principal: Principal) -> str | None:
    """The `userId` of what a caller makes; none in open mode, where nobody is known."""
    return None if principal.via == "open" else principal.uid


def refused_run(error: LimitError) -> LimitError:
    """The error of a change that was stored although no run could be asked for."""
    error.remedy = f"The change is stored. {error.remedy or ''}".strip()
    return error


def checked_performance_name(name: str) -> str:
    """The name of a built-in performance.

    Raises:
        ParameterError: there is none.
    """
    if name not in PERFORMANCES:
        raise ParameterError(
            f"There is no performance {name[:60]!r}",
            remedy=did_you_mean(name, PERFORMANCES) + f"Use one of {', '.join(PERFORMANCES)}.",
            code="performance",
        )
    return name


async def _look(
    service: Service, principal: Principal, inputs: AvatarInputs
) -> Sequence[ShownFinding]:
    """The coach's advice.

    Raises:
        MediaError: something cannot work; says all that cannot.
    """
    if inputs.portrait is None and inputs.clip is None:
        return ()
    found = await service.engine.inspect(
        inputs.portrait, inputs.clip, inputs.parameters, owner=principal.uid
    )
    findings = [ShownFinding.model_validate(dict(one)) for one in found]
    refused = [one for one in findings if one.severity == "refuse"]
    if refused:
        raise MediaError(
            " ".join(one.sentence for one in refused).rstrip("."),
            remedy="Nothing was stored.",
            code=refused[0].code.rpartition(".")[2],
        )
    return findings


def _with_training(
    service: Service, principal: Principal, form: AvatarForm, *, is_new: bool
) -> AvatarInputs:
    """The inputs with what else is written into `training`."""
    training: dict[str, Any] = {}
    if form.portrait_sha256:
        _check_consent(service, form.consent)
    if form.consent and form.portrait_sha256:
        training["consent"] = {
            "at": time.time_ns() // 1_000_000,
            "by": principal.uid,
            "portraitSha256": form.portrait_sha256,
        }
    if form.render is not None and (not is_new or not form.render):
        training["dynamicsEnabled"] = form.render
    given = form.inputs
    return AvatarInputs(
        given.portrait, given.clip, given.performance, given.name, given.parameters, training
    )


def _check_consent(service: Service, given: bool) -> None:
    if service.settings.consent == "required" and not given:
        raise ParameterError(
            "The person shown has to agree",
            remedy="Declare it with consent=true.",
            code="consent",
        )


def _with_clip(inputs: AvatarInputs, clip: Path) -> AvatarInputs:
    return AvatarInputs(
        inputs.portrait, clip, inputs.performance, inputs.name, inputs.parameters, inputs.training
    )


def _check_names(form: UploadedForm) -> None:
    known = FIELDS | {"portrait", "clip"}
    for name in form.fields:
        if name not in FIELDS:
            raise ParameterError(
                f"{name[:60]!r} is no field of this form",
                remedy=did_you_mean(name, known) + f"Fields: {', '.join(sorted(known))}.",
                code="unknown",
            )


def _file(form: UploadedForm, name: str, wanted: Medium) -> Path | None:
    found: UploadedFile | None = form.file(name)
    if found is None:
        return None
    if found.kind.medium is not wanted:
        swapped = found.kind.medium in (Medium.CLIP, Medium.PICTURE)
        raise MediaError(
            f"The {name} is a {'video' if name == 'portrait' else 'picture'}; did you swap the two?"
            if swapped
            else f"The {name} is a {found.kind.name}",
            remedy="Give a picture as the portrait and a talking clip as the clip.",
            code="swapped" if swapped else "unsupported",
        )
    return found.path


def _performance(name: str | None) -> str | None:
    return checked_performance_name(name) if name else None


def _name(name: str | None) -> str | None:
    if not name:
        return None
    if len(name) > _NAME_CHARACTERS or not name.isprintable() or not name.strip():
        raise ParameterError(
            "This is no name",
            remedy=f"Give 1 to {_NAME_CHARACTERS} printable characters.",
            code="name",
        )
    return name.strip()


def _trim(form: UploadedForm) -> tuple[float, float] | None:
    start, end = number_of(form, "trim_start"), number_of(form, "trim_end")
    if start is None and end is None:
        return None
    begin = start or 0.0
    if end is None or not begin < end <= begin + LONGEST_S:
        raise ParameterError(
            "The part of the clip is none",
            remedy=f"trim_end comes after trim_start, by {LONGEST_S:g} seconds at most.",
            code="trim",
        )
    return begin, end


def checked_change(
    name: str | None, performance: str | None, parameters: Mapping[str, Any], render: bool | None
) -> AvatarForm:
    """A change that was sent as JSON.

    Raises:
        ParameterError: a value is wrong.
    """
    inputs = AvatarInputs(
        performance=_performance(performance), name=_name(name), parameters=parameters
    )
    inputs.check()
    return AvatarForm(inputs=inputs, render=render)
