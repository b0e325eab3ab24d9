"""The version of the mesh engine, apart from the engine: asking for it loads no OpenCV."""

from typing import Final

__all__ = ["VERSION"]

VERSION: Final = "5"
"""Raise it when extraction or rendering changes what comes out."""
