"""The watchdog of a rendering process: waits, and tidies up when that process is killed.

Started by `lost_runs.watched` with a pipe as its standard input. The pipe says `done` when all went
well; when it closes without a word, the process at its other end is dead.
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
