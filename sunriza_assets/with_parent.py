"""Processes that end with the process that started them, also when that one is killed with -9.

    python -m sunriza_assets.with_parent PARENT SIGNAL -m module arguments…

runs a module in this process, which the kernel sends a signal when its parent dies. The signal is
tied to the thread that has started it, so start such processes from a main thread. Where the kernel
offers nothing of the kind (it is Linux's), the module runs without.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["command_with_parent", "end_with_parent"]

_PR_SET_PDEATHSIG: Final = 1


def command_with_parent(
    arguments: Sequence[str], number: signal.Signals = signal.SIGTERM
) -> list[str]:
    """A command that runs Python with these arguments, and gets a signal when this process ends.

    Args:
        arguments: of the interpreter: `-m`, a module's name, its own.
        number: the signal.
    """
    own = ["-m", __name__, str(os.getpid()), str(int(number))]
    return [sys.executable, *own, *arguments]


def end_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Let the kernel send this process a signal when its parent ends; at once if it has.

    Args:
        parent: process id of the process that has started this one.
        number: the signal.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it ended before
        os.kill(os.getpid(), number)


def main() -> None:
    """Become the module that the command line names."""
    parent, number, *arguments = sys.argv[1:]
    end_with_parent(int(parent), int(number))
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - an argument list


if __name__ == "__main__":
    main()
