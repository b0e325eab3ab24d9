"""Publish a small model of Pocket TTS with random weights, laid out as on the hub.

    python -m sunriza_assets_tests.studio.speech.voices.small_pocket '{"folder": "…"}'

The package's own classes make it, in a process of its own: importing them changes torch's threads.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

COMMIT = "c" * 40
GATED = "kyutai/pocket-tts"
OPEN = "kyutai/pocket-tts-without-voice-cloning"
UNKNOWN = "<unk>"
WORDS = [UNKNOWN, "Hallo", "Welt", "Guten", "Morgen", ".", ",", "!"]


def main() -> None:
    import torch
    from pocket_tts import TTSModel
    from pocket_tts.models.model_state import export_model_state
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers

    root = Path(json.loads(sys.argv[1])["folder"])
    language = root / OPEN / "languages" / "german"
    (language / "embeddings").mkdir(parents=True)
    gated = root / GATED / "languages" / "german"
    gated.mkdir(parents=True)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(language / "tokenizer.json"))
    config = small(package_config())
    config["flow_lm"]["lookup_table"]["tokenizer_path"] = str(language / "tokenizer.json")
    path = root / "german.yaml"
    path.write_text(yaml.safe_dump(config))
    torch.manual_seed(1)
    model = TTSModel.load_model(config=path)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    for folder in (language, gated):
        save_file(weights, folder / "model.safetensors")
    state = model.get_state_for_audio_prompt(torch.randn(1, 24_000) / 10)
    export_model_state(state, language / "embeddings" / "juergen.safetensors")
    config["weights_path"] = f"hf://{GATED}/languages/german/model.safetensors@{COMMIT}"
    config["weights_path_without_voice_cloning"] = config["weights_path"].replace(GATED, OPEN)
    config["flow_lm"]["lookup_table"]["tokenizer_path"] = (
        f"hf://{OPEN}/languages/german/tokenizer.json@{COMMIT}"
    )
    path.write_text(yaml.safe_dump(config))
    sys.stdout.write("{}")


def package_config() -> dict[str, Any]:
    """The package's configuration of the German model."""
    from pocket_tts.utils.config import CONFIGS_DIR

    config: dict[str, Any] = yaml.safe_load((CONFIGS_DIR / "german.yaml").read_text("utf-8"))
    return config


def small(config: dict[str, Any]) -> dict[str, Any]:
    """The same architecture with a hundredth of the weights, which are random."""
    config["weights_path"] = config["weights_path_without_voice_cloning"] = None
    flow = config["flow_lm"]
    flow["flow"].update(depth=1, dim=32)
    flow["transformer"].update(d_model=64, num_heads=4, num_layers=1, hidden_scale=2)
    flow["lookup_table"].update(dim=64, n_bins=len(WORDS))
    mimi = config["mimi"]
    mimi["inner_dim"] = 16
    mimi["outer_dim"] = 32
    mimi["seanet"].update(dimension=32, n_filters=4)
    mimi["transformer"].update(
        d_model=32, num_heads=4, num_layers=1, dim_feedforward=64,
        input_dimension=32, output_dimensions=[32],
    )  # fmt: skip
    mimi["quantizer"].update(dimension=16, output_dimension=32)
    return config


if __name__ == "__main__":
    main()
