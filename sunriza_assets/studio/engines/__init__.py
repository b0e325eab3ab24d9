"""Engines: what turns a clip into motion and a portrait plus motion into frames."""
