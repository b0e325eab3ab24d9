"""What a step took and what it cost: stopwatch, price book, ledger, reports, estimates.

Pure book-keeping. Nothing here imports dagster, a resource or the studio: the graph measures its
steps with `stopwatch`, and hands the events of its log back to `ledger` as `StepEvent`s.
"""
