"""The one partitioning of this graph: an avatar is a partition."""

from typing import Final

import dagster as dg

__all__ = ["AVATARS"]

AVATARS: Final = dg.DynamicPartitionsDefinition(name="avatars")
"""Partition key = avatarId. Keys are added by the sensor and by `sunriza`."""
