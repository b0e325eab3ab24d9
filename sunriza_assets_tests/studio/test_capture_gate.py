"""Users share the gate, a capture has it alone, and whoever waits gets in."""

import threading

import pytest

from sunriza_assets.studio.capture_gate import CaptureGate

PATIENCE_S = 30


def _started(work: threading.Event, gate: CaptureGate, *, capture: bool) -> threading.Thread:
    def enter() -> None:
        with gate.capturing() if capture else gate.using():
            work.set()

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    return thread


def test_users_do_not_wait_for_each_other() -> None:
    gate, inside = CaptureGate(), threading.Event()
    with gate.using():
        _started(inside, gate, capture=False).join(PATIENCE_S)
        assert inside.is_set()


def test_a_capture_waits_for_users_and_goes_before_later_ones() -> None:
    gate, captured, used = CaptureGate(), threading.Event(), threading.Event()
    with gate.using():
        capture = _started(captured, gate, capture=True)
        while not gate._captures_waiting:
            assert capture.is_alive()
        user = _started(used, gate, capture=False)
        user.join(0.05)
        assert not captured.is_set()
        assert not used.is_set()
    capture.join(PATIENCE_S)
    user.join(PATIENCE_S)
    assert captured.is_set()
    assert used.is_set()


def test_everybody_waits_for_a_capture() -> None:
    gate, other, used = CaptureGate(), threading.Event(), threading.Event()
    with gate.capturing():
        waiting = [_started(other, gate, capture=True), _started(used, gate, capture=False)]
        waiting[1].join(0.05)
        assert not other.is_set()
        assert not used.is_set()
    for thread in waiting:
        thread.join(PATIENCE_S)
    assert other.is_set()
    assert used.is_set()


@pytest.mark.parametrize("capture", [True, False])
def test_an_error_inside_leaves_the_gate_open(capture: bool) -> None:
    gate, inside = CaptureGate(), threading.Event()
    with pytest.raises(KeyError), gate.capturing() if capture else gate.using():
        raise KeyError
    _started(inside, gate, capture=True).join(PATIENCE_S)
    assert inside.is_set()
