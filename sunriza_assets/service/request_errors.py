"""The error of a request that cannot be answered because of its form: path, headers, body."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from sunriza_assets.errors import SunrizaError

__all__ = ["REQUEST_STATUS", "RequestError"]

REQUEST_STATUS: Final[Mapping[str, int]] = {
    "request.form": 400,
    "request.json": 400,
    "request.query": 400,
    "request.path": 404,
    "request.method": 405,
    "request.accept": 406,
    "request.slow": 408,
    "request.length": 411,
    "request.too_large": 413,
    "request.url": 414,
    "request.type": 415,
    "request.host": 421,
    "request.invalid": 422,
    "request.headers": 431,
    "request.overload": 503,
    "request.timeout": 503,
}
"""HTTP status of each code."""


class RequestError(SunrizaError):
    """A request whose form is wrong.

    Args:
        code: the part of a code in `REQUEST_STATUS` after `request.`.
        headers: headers of the answer (`Allow`, `Retry-After`).
        errors: places and messages, where there are several.
    """

    family: ClassVar[str] = "request"

    def __init__(
        self,
        what: str,
        *,
        code: str,
        remedy: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(what, remedy=remedy, code=code)
        self.status = REQUEST_STATUS[self.code]
        self.headers = dict(headers or {})
        self.errors = tuple(errors)
