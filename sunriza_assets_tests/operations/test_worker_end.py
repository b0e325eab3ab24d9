"""A worker ends with its dispatcher, whatever the dispatcher left unread."""

import signal
import socket
import subprocess
import sys

import pytest

_WORKER = """
import socket, sys, time
from sunriza_assets.runs.order_worker import Commands
connection = socket.socket(fileno=int(sys.argv[1]))
connection.sendall(b"a line that nobody reads" * int(sys.argv[2]))
Commands(connection).start()
print("reading", flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("unread", [0, 1])
def test_a_worker_dies_with_its_dispatcher(unread: int) -> None:
    """Unread lines reset the connection of a dispatcher that was killed."""
    ours, theirs = socket.socketpair()
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(theirs.fileno()), str(unread)],
        pass_fds=[theirs.fileno()],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        theirs.close()
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"reading\n"
        ours.close()
        assert worker.wait(60) == -signal.SIGKILL
    finally:
        worker.kill()
        worker.wait()
        if worker.stdout is not None:
            worker.stdout.close()
