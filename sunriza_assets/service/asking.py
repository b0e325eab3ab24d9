"""What a request for an avatar's dynamics asks for, in whichever shape it was sent; and asking.

An order is stored before its wishes are written into the avatar's document (see
docs/decisions/order-before-wishes.md).
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from resources.avatars.asking import with_wishes
from resources.avatars.document import AvatarDocument
from resources.avatars.store import no_such_avatar
from resources.orders.order import Order, Webhook, new_order_id
from resources.orders.store import Acceptance, AnswerOf, IdempotencyKey
from sunriza_assets.errors import AvatarError, ParameterError, StoreError
from sunriza_assets.service.auth.principals import Principal
from sunriza_assets.service.context import Service
from sunriza_assets.service.jobs import withdraw
from sunriza_assets.service.missing import MissingParameterError
from sunriza_assets.service.own_avatars import read_avatar
from sunriza_assets.service.webhooks import requested_webhook
from sunriza_assets.studio.parameters import camel_name, canonical, checked

__all__ = ["DynamicsWish", "ask_for_dynamics", "own_avatar", "read_wish"]

_log = logging.getLogger(__name__)

CREDITS: Final = 5
"""What a run after an avatar's first costs its owner."""
KNOWN_DYNAMICS: Final = ("basic",)
_OBSOLETE: Final = frozenset({"scale"})
"""Parameters of the former system that the app still sends."""
_IGNORED: Final = frozenset({"hero_image_url", "hero_video_url", "profile_image_url"})
"""Names of the documented flat body whose values come from the document instead."""
_OWN: Final = ("avatar_id", "dynamics_id", "parameters", "webhook_url", "webhook_events")
_SWITCHES: Final = ("publish", "force")


@dataclass(frozen=True, slots=True)
class DynamicsWish:
    """A request for dynamics, checked."""

    avatar_id: str
    """Of which avatar; not known to exist."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Checked render parameters by camelCase name."""
    dynamics_id: str = KNOWN_DYNAMICS[0]
    """`basic`."""
    publish: bool = True
    """False: a draft."""
    force: bool = False
    """Whether it is made although nothing has changed."""
    webhook: Webhook | None = None
    """Who is told."""

    def inputs(self) -> dict[str, Any]:
        """What is stored as `Order.inputs`."""
        return {
            "parameters": dict(self.parameters),
            "dynamics_id": self.dynamics_id,
            "publish": self.publish,
            "force": self.force,
        }


def read_wish(body: Mapping[str, Any]) -> DynamicsWish:
    """A request in any of its shapes: the app's, the flat one of the documentation, camelCase.

    Raises:
        ParameterError: an unknown name, a value out of its range, no avatar id.
    """
    fields: dict[str, Any] = {}
    flat: dict[str, Any] = {}
    for key, value in body.items():
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
        if name in _IGNORED or (value is None and name in (*_OWN, *_SWITCHES)):
            continue
        if name not in (*_OWN, *_SWITCHES):
            flat[key] = value
            continue
        if name in fields and fields[name] != value:
            raise ParameterError(f"{name} is given twice", code="ambiguous")
        fields[name] = value
    avatar_id = fields.get("avatar_id")
    if not isinstance(avatar_id, str) or not avatar_id.strip():
        raise MissingParameterError("avatar_id required", code="avatar_id")
    dynamics_id = fields.get("dynamics_id", KNOWN_DYNAMICS[0])
    if not isinstance(dynamics_id, str) or dynamics_id not in KNOWN_DYNAMICS:
        raise ParameterError(
            f"There are no dynamics {str(dynamics_id)[:60]!r}",
            remedy=f"Known are: {', '.join(KNOWN_DYNAMICS)}.",
            code="dynamics_id",
        )
    given = fields.get("parameters", {})
    if not isinstance(given, Mapping):
        raise ParameterError("parameters is not an object", code="parameters")
    return DynamicsWish(
        avatar_id=avatar_id,
        dynamics_id=dynamics_id,
        parameters={**_checked(flat), **_checked(given)},
        publish=_switch("publish", fields, default=True),
        force=_switch("force", fields, default=False),
        webhook=requested_webhook(fields.get("webhook_url"), fields.get("webhook_events")),
    )


def own_avatar(service: Service, principal: Principal, avatar_id: str) -> AvatarDocument:
    """The document of an avatar whose dynamics the caller may make; blocking.

    An old app build sends no token, so nobody knows whose it is; it may make any avatar's dynamics,
    as before, while `SUNRIZA_AUTH` says so.

    Raises:
        AvatarError: `avatar.missing` as `read_avatar`.
        StoreError: it cannot be read.
    """
    if principal.via != "anonymous":
        return read_avatar(service, principal, avatar_id)
    document = service.stores.avatars.get(avatar_id)
    if document.is_foreign:
        raise no_such_avatar(avatar_id)
    return document


def ask_for_dynamics(
    service: Service,
    principal: Principal,
    document: AvatarDocument,
    wish: DynamicsWish,
    *,
    answer: AnswerOf,
    key: IdempotencyKey | None = None,
    charge: Callable[[], None] | None = None,
    answer_status: int = 200,
    eta_s: float | None = None,
    retry_of: str | None = None,
    request_id: str | None = None,
) -> Acceptance:
    """Store an order for an avatar, and then write its wishes into the document; blocking.

    Args:
        document: the avatar, read with `own_avatar` a moment ago.
        answer: makes the answer's body.
        key: the request's idempotency key.
        charge: see `charge_of`.
        answer_status: HTTP status of the answer.
        eta_s: forecast seconds of the run.
        retry_of: the order that this one repeats.
        request_id: id of the HTTP request.

    Raises:
        AvatarError: it lacks portrait or clip (`avatar.no_image`, `no_video`), or was deleted.
        LimitError, CreditsError, ConflictError, StoreError: as `OrderStore.accept`.
    """
    _check_inputs(document)
    owner = principal.uid
    if principal.via == "anonymous" and document.user_id is not None:
        owner = document.user_id
    order = Order(
        order_id=new_order_id(),
        kind="dynamics",
        owner=owner,
        state="accepted",
        created_at=datetime.now(UTC),
        avatar_id=document.avatar_id,
        inputs_version=with_wishes(document, wish.parameters).inputs_version,
        inputs=wish.inputs(),
        eta_s=eta_s,
        webhook=wish.webhook,
        retry_of=retry_of,
        request_id=request_id,
    )
    accepted = service.orders.accept(
        order,
        quota=service.quota(principal),
        key=key,
        charge=charge,
        answer=answer,
        answer_status=answer_status,
        credits=_credits(service, document, owner),
        api_key=principal.credential.removeprefix("key:") if principal.via == "key" else None,
    )
    if wish.publish and accepted.outcome != "replayed":
        _write_wishes(service, accepted.order, wish)
    return accepted


def _check_inputs(document: AvatarDocument) -> None:
    """Refuse an avatar that lacks what a run needs.

    Raises:
        AvatarError: `avatar.no_image`, `avatar.no_video`.
    """
    _ = document.hero_image_url
    if document.performance is None:
        _ = document.hero_video_url


def _write_wishes(service: Service, order: Order, wish: DynamicsWish) -> None:
    """Let the document ask for this order's run.

    The order is stored, and the dispatcher writes its wishes if this cannot; so an error of the
    store is none of the caller's.
    """
    try:
        service.stores.avatars.ask(
            wish.avatar_id, parameters=wish.parameters, job_id=order.order_id
        )
        present = service.orders.get(order.order_id)
        if present is not None and present.state == "cancelled":  # just now, by somebody else
            withdraw(service, present)
    except AvatarError:  # it was deleted, or given away, a moment ago
        service.orders.request_cancel(order.order_id)
        raise
    except StoreError as problem:
        _log.warning("%s: the document does not show it yet: %s", order.order_id, problem)


def _credits(service: Service, document: AvatarDocument, owner: str) -> int:
    """What a run costs: nothing for an avatar's first, by the server's own records."""
    if service.settings.credits != "enforce":
        return 0
    if document.record.claims:
        return CREDITS
    earlier = service.orders.page(owner, avatar_id=document.avatar_id, limit=20).orders
    return CREDITS if any(order.status != "error" for order in earlier) else 0


def _checked(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Checked values by camelCase name.

    Raises:
        ParameterError: an unknown name, or a value out of its range.
    """
    given = {name: value for name, value in parameters.items() if name.lower() not in _OBSOLETE}
    return {camel_name(name): checked(name, value) for name, value in canonical(given).items()}


def _switch(name: str, fields: Mapping[str, Any], *, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise ParameterError(
            f"{name} is {str(value)[:60]!r}", remedy="Allowed: true or false.", code="out_of_range"
        )
    return value
