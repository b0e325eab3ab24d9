"""The webhook that a request asks for: its form; addresses are checked when it is delivered."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from resources.orders.order import Webhook
from sunriza_assets.errors import ParameterError, did_you_mean

__all__ = ["EVENTS", "requested_webhook"]

EVENTS: Final = ("job.done", "job.error", "job.running")
"""What a receiver may be told of."""
_URL_CHARACTERS: Final = 2048


def requested_webhook(url: object, events: object) -> Webhook | None:
    """The webhook of a request; None if it names no receiver.

    Raises:
        ParameterError: the URL is not one that may be called, or an event is unknown.
    """
    if url is None:
        return None
    if not isinstance(url, str):
        raise _refused("it is no text")
    _check(url)
    if events is None:
        return Webhook(url)
    if not isinstance(events, list):
        raise ParameterError("webhook_events is no list", code="webhook")
    for event in events:
        if event not in EVENTS:
            raise ParameterError(
                f"{str(event)[:60]!r} is no event of a job",
                remedy=f"{did_you_mean(event, EVENTS)}Known are: {', '.join(EVENTS)}.",
                code="webhook",
            )
    return Webhook(url, tuple(dict.fromkeys(events))) if events else None


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as problem:
        raise _refused("it is not an address") from problem
    if len(url) > _URL_CHARACTERS or not url.isprintable() or " " in url:
        raise _refused("it is too long, or has characters that no address has")
    if parts.scheme != "https" or port not in (None, 443):
        raise _refused("only https on port 443 is called")
    if parts.username is not None or parts.password is not None:
        raise _refused("it carries credentials")
    if not host or host == "localhost" or host.endswith(".localhost"):
        raise _refused("its host is not a public one")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return  # a name; resolved and checked at every delivery
    if not address.is_global:
        raise _refused("its host is not a public one")


def _refused(why: str) -> ParameterError:
    return ParameterError(
        f"webhook_url is not called: {why}",
        remedy="Name a public https address.",
        code="webhook",
    )
