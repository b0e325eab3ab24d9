"""Dagster's storage: pooled SQLite and Postgres connections and a cached event log."""
