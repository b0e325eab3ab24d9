"""What a document asks for, as apps of today and of yesterday write it."""

from resources.avatars.document import AvatarDocument
from sunriza_assets.studio.parameters import RenderParameters, overridden, resolve


def document(**basic: object) -> AvatarDocument:
    data = {"dynamics": {"basic": basic}}
    return AvatarDocument("ada", data, "2026-01-01T00:00:00.000000000Z")


def test_what_the_app_sends_today_is_understood() -> None:
    """Its request has exactly these four names; `scale` belongs to the former system."""
    sent = {
        "driving_multiplier": 0.41,
        "scale": 2.0,
        "source_max_dim": 1600,
        "animation_region": "all",
    }
    resolved = resolve(document(parameters=sent).wishes)
    assert resolved == RenderParameters(driving_multiplier=0.41)


def test_what_a_launchpad_said_is_no_wish_afterwards() -> None:
    asked = {"drivingMultiplier": 1.2}
    used = resolve(asked, {"fps": 25, "driving_multiplier": 0.5})
    after = document(parameters=used.to_document(), overridden=overridden(asked, used))
    assert after.wishes == {"drivingMultiplier": 1.2}


def test_what_an_app_changes_after_a_launchpad_is_a_wish() -> None:
    used = resolve({}, {"fps": 25})
    parameters = {**used.to_document(), "fps": 12}
    after = document(parameters=parameters, overridden=overridden({}, used))
    assert after.wishes == {"fps": 12}
