"""Asking one's own service whether it is ready, as the supervisor does while it starts."""

import http.client
import json
import socket
from typing import Any, Final

__all__ = ["reasons_unready"]

_TIMEOUT_S: Final = 2.0
_SILENT: Final = "The API does not answer."


def reasons_unready(listener: socket.socket) -> str:
    """Why the service behind a listening socket is not ready, in one line; empty when it is."""
    host, port = listener.getsockname()[:2]
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is read
    connection = http.client.HTTPConnection(loopback, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/health/ready", headers={"Host": f"localhost:{port}"})
        answer = connection.getresponse()
        parts: dict[str, Any] = json.loads(answer.read()).get("parts", {})
    except (OSError, http.client.HTTPException, ValueError):
        return _SILENT
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.OK:
        return ""
    reasons = [f"{name}: {part['reason']}" for name, part in parts.items() if not part["ready"]]
    return " ".join(reasons) or _SILENT
