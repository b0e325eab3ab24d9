"""Sunriza Assets: a portrait and a short talking clip become a living avatar.

Three floors, imports only point down: the graph (this package's own modules), what it calls on
(`resources`), and the craft (`studio`, `costs`), which knows nothing of Dagster.
"""

__version__ = "0.1.0"
