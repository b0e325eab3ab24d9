"""Hostile cases: what attackers and broken clients send, by class.

The cases are numbered through all classes; each module's docstring says which it holds.
"""
