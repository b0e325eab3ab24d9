"""The viseme tables: complete, consistent, and every translation ends at one of the twelve."""

import pytest

from sunriza_assets.studio.expression.visemes import (
    ARKIT,
    ARPABET,
    AZURE,
    OCULUS,
    RHUBARB,
    VISEMES,
    viseme_maps,
)


def test_the_order_is_the_one_the_app_knows() -> None:
    assert list(VISEMES) == ["Rest", "AI", "E", "U", "O", "MBP", "FV", "L", "WQ", "R", "CH", "TH"]


def test_foreign_sets_are_complete() -> None:
    assert len(OCULUS) == 15
    assert list(AZURE) == [str(number) for number in range(22)]
    assert sorted(RHUBARB) == list("ABCDEFGHX")
    assert len(ARPABET) == 39 + 1
    assert list(ARKIT) == list(VISEMES)


@pytest.mark.parametrize("table", [OCULUS, AZURE, RHUBARB, ARPABET])
def test_every_name_ends_at_a_viseme(table: dict[str, str]) -> None:
    assert set(table.values()) <= set(VISEMES)


def test_sets_agree_where_they_speak_of_the_same_sound() -> None:
    same = [("PP", "21", "P"), ("FF", "18", "F"), ("CH", "16", "CH"), ("RR", "13", "R")]
    for oculus, azure, phoneme in [
        *same,
        ("ou", "7", "UW"),
        ("oh", "8", "OW"),
        ("sil", "0", "SIL"),
    ]:
        assert OCULUS[oculus] == AZURE[azure] == ARPABET[phoneme]


def test_the_apps_own_phoneme_table_is_kept() -> None:
    kept = {
        "AI": "AA AE AH", "O": "AO OW", "U": "UH UW", "E": "EH IY IH", "MBP": "P B M",
        "FV": "F V", "L": "L", "WQ": "W", "R": "R", "CH": "CH JH", "TH": "TH DH",
    }  # fmt: skip
    for viseme, phonemes in kept.items():
        assert {ARPABET[phoneme] for phoneme in phonemes.split()} == {viseme}


def test_blend_shapes_carry_arkits_names_and_order_the_jaw() -> None:
    arkit = viseme_maps()["arkit"]
    known = {
        "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper",
        "mouthShrugUpper", "tongueOut",
        *(f"mouth{part}{side}" for part in ("LowerDown", "Press", "Smile", "Stretch", "UpperUp")
          for side in ("Left", "Right")),
    }  # fmt: skip
    assert {name for weights in arkit.values() for name in weights} <= known
    assert all(0 < weight <= 1 for weights in arkit.values() for weight in weights.values())
    jaw = {name: weights.get("jawOpen", 0.0) for name, weights in arkit.items()}
    assert jaw["AI"] > jaw["O"] > jaw["E"] > jaw["R"] > jaw["MBP"] == jaw["Rest"] == 0


def test_lip_shapes_are_twelve_different_ones() -> None:
    assert len(set(VISEMES.values())) == 12
    for shape in VISEMES.values():
        assert shape is None or (0 <= shape.opening < 0.3 and 0.5 < shape.width < 1.2)
