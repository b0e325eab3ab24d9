"""One router for each subject; a route checks, calls, and answers with a schema."""

from typing import Final

from fastapi import APIRouter

__all__ = ["ROUTERS"]

ROUTERS: Final[tuple[APIRouter, ...]] = ()
"""All routers, in the order of the documentation."""
