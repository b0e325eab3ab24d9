"""The watchdog of a rendering process: waits, and closes its runs when it is killed.

Started by `lost_runs.with_watchdog` with a pipe as its standard input. The parent writes `done`
when it ends by itself; a pipe that closes without it means that the parent is dead.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """Wait for the pipe to close; close lost runs unless it said `done`."""
    if sys.stdin.buffer.read() == b"done":
        return
    # Imported only now: a watchdog that waits should cost next to nothing.
    import dagster as dg

    from sunriza_assets.operations.lost_runs import close_lost_runs

    with dg.DagsterInstance.get() as instance:
        close_lost_runs(instance)


if __name__ == "__main__":
    main()
