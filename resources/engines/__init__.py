"""Engines as resources: choice, remote engines, the cache of motion templates."""
