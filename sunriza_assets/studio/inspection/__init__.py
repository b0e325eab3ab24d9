"""The input coach: what will not work with a portrait or a clip, and what would look better.

`inspect_inputs` reads files; `portrait_findings` and `clip_findings` judge figures alone. Nothing
here depends on stores, avatars or the command line. A refusal is something that a render would
refuse or
that no render could be worth; everything else is advice.
"""

from sunriza_assets.studio.inspection.coach import inspect_inputs
from sunriza_assets.studio.inspection.findings import Finding, refusal

__all__ = ["Finding", "inspect_inputs", "refusal"]
