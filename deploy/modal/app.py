"""GPU steps on Modal: the far end of `resources.engines.remote` as a deployed function.

    modal volume create sunriza-models                  # once: models and weights stay there
    modal run deploy/modal/app.py::pull_models          # once, and whenever a model changes
    modal deploy deploy/modal/app.py

Everything else (Dagster, decoding, encoding, publishing) stays where it is and finds the function
by SUNRIZA_MODAL_APP=sunriza-assets. Both ends use the same bucket: the secret `sunriza` holds
SUNRIZA_STORE and the settings that go with it.
"""

from pathlib import Path
from typing import Any, Final

import modal

# In the container this file lies elsewhere, and the image is long built.
ROOT: Final = Path(__file__).resolve().parents[2] if modal.is_local() else Path("/")
MODELS: Final = "/models"
GPU: Final = "T4"
"""The cheapest that renders a ten-second clip within a minute or two; any name that Modal knows."""

app = modal.App("sunriza-assets")

# Installed by the same script as the Docker images. CUDA 13 and cuDNN 9 come as Python packages
# with torch, and onnxruntime takes them from there.
image = modal.Image.debian_slim(python_version="3.11")
for name in ("pyproject.toml", "constraints.txt", "README.md", "dagster.yaml"):
    image = image.add_local_file(ROOT / name, f"/build/{name}", copy=True)
image = (
    image.add_local_file(ROOT / "deploy/docker/install.sh", "/build/install.sh", copy=True)
    .add_local_dir(ROOT / "sunriza_assets", "/build/sunriza_assets", copy=True)
    .add_local_dir(ROOT / "resources", "/build/resources", copy=True)
    .run_commands("sh /build/install.sh /build python gpu")
    .env({"SUNRIZA_MODELS": MODELS, "SUNRIZA_HOME": "/tmp/sunriza"})  # noqa: S108 - a container's
)
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
