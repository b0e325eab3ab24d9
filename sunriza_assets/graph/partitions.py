"""The one partitioning of this graph: an avatar is a partition."""

from typing import Final

import dagster as dg

__all__ = ["AVATARS", "AVATAR_TAG"]

AVATARS: Final = dg.DynamicPartitionsDefinition(name="avatars")
"""Partition key = avatarId. Keys are added by the sensor and by `sunriza`."""

AVATAR_TAG: Final = "dagster/partition"
"""The tag by which Dagster says which partition, that is which avatar, a run is for."""
