"""What engines can do is read off their classes, and every capability is a protocol."""

import inspect

import pytest

from sunriza_assets.studio.contracts import engine as contracts
from sunriza_assets.studio.contracts.capabilities import CAPABILITIES, capabilities_of
from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
from sunriza_assets.studio.engines.mesh.engine import MeshEngine


def test_every_capability_is_one_protocol() -> None:
    protocols = {
        frozenset(name for name, _ in inspect.getmembers(one, inspect.isfunction) if name[0] != "_")
        for one in vars(contracts).values()
        if inspect.isclass(one) and contracts.Engine in one.__bases__
    }
    assert protocols == {frozenset(methods) for methods in CAPABILITIES.values()}


@pytest.mark.parametrize("engine", [MeshEngine, LivePortraitEngine])
def test_both_engines_make_avatars(engine: type) -> None:
    assert {"motion from a clip", "portraits by motion"} <= set(capabilities_of(engine))


def test_a_class_without_the_methods_can_do_nothing() -> None:
    assert capabilities_of(dict) == []


def test_half_a_protocol_is_none() -> None:
    class Half:
        def render(self) -> None: ...

    assert capabilities_of(Half) == []
