"""Hostile cases: what attackers and broken clients send, by class."""
