"""The image of both apps of this folder, `app.py` and `service.py`.

`modal deploy` puts the folder of the file that it is given on the path, and so this module is found
beside it. Modal takes along no module by itself but that file: the image carries this one, because
the file is imported in the container, too.
"""

from pathlib import Path
from typing import Final

import modal

__all__ = ["MODELS", "image_with"]

# In the container this file lies elsewhere, and the image is long built.
ROOT: Final = Path(__file__).resolve().parents[2] if modal.is_local() else Path("/")
MODELS: Final = "/models"
"""Where the volume of models is mounted."""


def image_with(extras: str) -> modal.Image:
    """An image with the checkout's package, installed by the same script as the Docker images.

    CUDA 13 and cuDNN 9 come as Python packages with torch, and onnxruntime takes them from there.

    Args:
        extras: of the package, separated by commas: `gpu`, `gpu,celery`.
    """
    image = modal.Image.debian_slim(python_version="3.11")
    for name in ("pyproject.toml", "constraints.txt", "README.md", "dagster.yaml"):
        image = image.add_local_file(ROOT / name, f"/build/{name}", copy=True)
    return (
        image.add_local_file(ROOT / "deploy/docker/install.sh", "/build/install.sh", copy=True)
        .add_local_dir(ROOT / "sunriza_assets", "/build/sunriza_assets", copy=True)
        .add_local_dir(ROOT / "resources", "/build/resources", copy=True)
        .run_commands(f"sh /build/install.sh /build python {extras}")
        .env({"SUNRIZA_MODELS": MODELS, "SUNRIZA_HOME": "/tmp/sunriza"})  # noqa: S108 - a container's
        .add_local_python_source(__name__)
    )
