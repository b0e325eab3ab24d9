"""Version of each avatar asset's code: raise it when the asset makes something else of the same.

A stored result of another version is made again. Here and not beside each asset, so that
`runs.up_to_date` can read it without loading the code location.
"""

from collections.abc import Mapping
from typing import Final

__all__ = ["CODE_VERSIONS"]

CODE_VERSIONS: Final[Mapping[str, str]] = {
    "hero_image": "1",
    "hero_video": "1",
    "trimmed_video": "1",
    "motion_template": "1",
    "idle_video": "3",
    "atlas": "2",
    "mask": "1",
    "roi": "3",
    "idle_extras": "3",
    "published_avatar": "3",
    "preview_page": "2",
}
