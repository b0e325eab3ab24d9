"""The `mesh` engine: extraction, transfer and drawing behind the engine protocols.

What the parameters mean to it:

* `driving_multiplier`: gain of head rotation, head shift and expression, bent by `limits`. Lids and
  irises follow it up to one and a quarter of the way beyond: nothing is more shut than shut. The
  zoom follows it up to one.
* `scale_multiplier`: share of the clip's zoom, on top of that.
* `source_max_dim`: the portrait is shrunk to it, never enlarged; an odd row or column is cut off.
* `animation_region`: `pose` moves the head alone, `exp` face, lids and irises, `lip` the face below
  the nose, `eyes` lids and irises.
* `lips` = `still`: nothing below the nose takes part in expression.
* `flag_relative` = false: eyes and lips open as far as the clip's own do, not as much further as
  they open there; and a portrait that is a frame of the clip gets no special treatment.
* `flag_stitching`: shoulders and border stay in place; false lets the motion reach further out and
  across the border, which then repeats its outermost pixels.
* `flag_pasteback` = false: a 512 x 512 square around the face, cut from the portrait.
* `flag_do_crop` = false: the portrait is a face crop already, no face is searched for in it;
  without `flag_pasteback` the square is then as much of the portrait as fits.
* `flag_lip_zero`: the portrait's own lip gap is taken away in every frame; `flag_normalize_lip`
  does the same where the portrait's mouth is visibly open, and leaves others alone.
* `flag_eye_retargeting`: lids stand at the clip's ratio of opening to width, whatever the
  portrait's is.
* `emotion`: its displacement is added to every frame's and to the mouth at rest of the viseme
  cells, whatever `animation_region` and `lips` say; lids open by its share, shut ones stay shut.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.contracts.engine import (
    Image,
    Progress,
    Rendering,
    VisemeCells,
    no_progress,
)
from sunriza_assets.studio.drawing.portrait import prepare_rig
from sunriza_assets.studio.engines.mesh.expressions import PreparedMeshPortrait
from sunriza_assets.studio.engines.mesh.motion.extract import extract_motion
from sunriza_assets.studio.engines.mesh.motion.perform import perform_script
from sunriza_assets.studio.engines.mesh.motion.timing import plan_timing
from sunriza_assets.studio.engines.mesh.motion.transfer import Transfer
from sunriza_assets.studio.engines.mesh.version import VERSION
from sunriza_assets.studio.engines.mesh.visemes import mouth_rim, render_visemes
from sunriza_assets.studio.face.landmarks import MESH_MODELS, FaceMesh
from sunriza_assets.studio.face.matte import PersonMatte
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.performances.script import MotionScript

__all__ = ["MeshEngine"]


class MeshEngine:
    """Animates a photo by bending it along a face mesh; needs no GPU and no trained generator.

    Args:
        models_root: the models folder.
        faces: a face mesh that is loaded already; one of its own when None.

    Raises:
        ModelError: the face models have not been pulled.
    """

    name = "mesh"
    version = VERSION

    def __init__(self, models_root: Path, *, faces: FaceMesh | None = None) -> None:
        self._models = ModelStore(models_root)
        self._mesh = faces or FaceMesh(self._models)
        self._matte = PersonMatte(self._models)

    def extraction_identity(self) -> Mapping[str, str]:
        """Extractor, version and model hashes: all that, beside the clip, decides a template."""
        return {
            "extractor": self.name,
            "version": self.version,
            **self._models.identity(*MESH_MODELS),
        }

    def extract(self, clip: Path, *, progress: Progress = no_progress) -> MotionTemplate:
        """Read the motion of a trimmed clip (constant frame rate, upright).

        Raises:
            MediaError: the clip cannot be decoded.
            FaceError: no face, or none that can be followed.
        """
        return extract_motion(
            clip, self._mesh, engine=self.name, version=self.version, progress=progress
        )

    def perform(self, script: MotionScript) -> MotionTemplate:
        """The motion template of a script, in place of one extracted from a clip."""
        return perform_script(script, engine=self.name, version=self.version)

    def render(
        self, portrait: Image, template: MotionTemplate, parameters: RenderParameters
    ) -> Rendering:
        """Plan the idle of a portrait; the frames are made when `Rendering.frames()` is walked.

        Raises:
            FaceError: the portrait shows no face or several.
            EngineError: the template is another engine's.
        """
        if template.engine != self.name:
            raise EngineError(
                f"The template was written by engine {template.engine!r}, not {self.name!r}",
                remedy="Extract the clip again with this engine.",
            )
        rig = prepare_rig(portrait, parameters, self._mesh, self._matte)
        timing = plan_timing(template, rig, parameters)
        transfer = Transfer(rig, mouth_rim(rig), timing, parameters)
        facts: dict[str, Any] = {**timing.facts, **transfer.facts, "glasses": rig.has_glasses}

        def frames() -> Iterator[Image]:
            cv2.setNumThreads(1)  # leaves the other cores to the encoder
            for number in range(len(transfer)):
                pose = transfer.pose(number)
                yield rig.draw(
                    pose.points,
                    head=pose.head,
                    closure=pose.closure,
                    gaze=pose.gaze,
                    mouth=pose.mouth,
                )

        height, width = rig.image.shape[:2]
        return Rendering(
            size=(width, height),
            rate=timing.rate,
            frame_count=len(transfer),
            frames=frames,
            track=transfer.track,
            facts=facts,
        )

    def visemes(self, portrait: Image, parameters: RenderParameters) -> VisemeCells:
        """Render the mouth of the portrait at rest in each of the visemes.

        Raises:
            FaceError: the portrait shows no face or several.
        """
        return render_visemes(prepare_rig(portrait, parameters, self._mesh, self._matte))

    def prepare(self, portrait: Image, parameters: RenderParameters) -> PreparedMeshPortrait:
        """Analyse a portrait once; `draw` of the result takes a fraction of that.

        Raises:
            FaceError: the portrait shows no face or several.
        """
        neutral = replace(parameters, emotion="neutral")
        return PreparedMeshPortrait(prepare_rig(portrait, neutral, self._mesh, self._matte))
