"""Types of settings: how the text of an environment variable becomes a value."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, PositiveInt

__all__ = ["Folder", "Hosts", "RunLimit", "Words"]


def _folder(value: object) -> object:
    """An absolute path without `~`."""
    return Path(value).expanduser().absolute() if isinstance(value, str | Path) else value


def _hosts(value: object) -> object:
    """Host names out of a list separated by commas."""
    if isinstance(value, str):
        return tuple(host.strip().lower() for host in value.split(",") if host.strip())
    return value


def _words(value: object) -> object:
    """Words out of a list separated by commas."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Folder = Annotated[Path, BeforeValidator(_folder)]
"""An absolute path."""
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""Words, separated by commas in the environment."""
Hosts = Annotated[tuple[str, ...], BeforeValidator(_hosts)]
"""Host names, separated by commas in the environment."""


RunLimit = Annotated[PositiveInt | Literal["unlimited"], BeforeValidator(_lower)]
"""A number from 1 on, or `unlimited`."""
