"""Seconds and costs: the step's stopwatch, the event log as the ledger's source, forecasts."""
