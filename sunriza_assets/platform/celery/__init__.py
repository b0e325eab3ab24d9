"""Celery: whole runs on warm workers, and a run launcher that detects dead ones.

Nothing here is imported by the code location itself; it is loaded by workers, by the daemon and
the web server (through `dagster.yaml`) and by operators' commands. Needs the extra `celery`.
"""
