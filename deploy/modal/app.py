"""GPU steps on Modal: the far end of `resources.engines.remote` as a deployed function.

    modal volume create sunriza-models                  # once: models and weights stay there
    modal run deploy/modal/app.py::pull_models          # once, and whenever a model changes
    modal deploy deploy/modal/app.py

Everything else (Dagster, decoding, encoding, publishing) stays where it is and finds the function
by SUNRIZA_MODAL_APP=sunriza-assets. Both ends use the same bucket: the secret `sunriza` holds
SUNRIZA_STORE and the settings that go with it.
"""

from typing import Any, Final

import modal
from sunriza_image import MODELS, image_with

GPU: Final = "T4"
"""The cheapest that renders a ten-second clip within a minute or two; any name that Modal knows."""

app = modal.App("sunriza-assets")
image = image_with("gpu")
models = modal.Volume.from_name("sunriza-models", create_if_missing=True)
settings = modal.Secret.from_name("sunriza")


@app.cls(
    image=image,
    gpu=GPU,
    cpu=2.0,
    memory=8192,
    volumes={MODELS: models},
    secrets=[settings],
    # Scale to zero: a container waits two minutes for the next step, then costs nothing.
    min_containers=0,
    scaledown_window=120,
    # Ten seconds of clip take a minute or two on a T4; ten minutes mean that something hangs.
    timeout=600,
    # A step is retried by whoever asked for it, who knows its document and its costs.
    retries=0,
)
class Steps:
    """One warm container. A cold start is the image's start and the engine's loading."""

    @modal.enter()
    def load(self) -> None:
        """Choose the engine and hash its weights before the first request comes in."""
        from resources.engines.remote_server import serve

        serve({"do": "identity", "engine": "auto"})

    @modal.method()
    def serve(self, request: dict[str, Any]) -> dict[str, Any]:
        """See `resources.engines.remote_server.serve`."""
        from resources.engines.remote_server import serve

        return serve(request)


@app.function(image=image, volumes={MODELS: models}, timeout=3600)
def pull_models() -> None:
    """Fill the volume with face models and LivePortrait's weights."""
    from sunriza_assets.cli.models import pull_models as pull

    for family in ("face", "liveportrait"):
        pull(family)
    models.commit()
