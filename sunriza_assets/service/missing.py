"""The error for what a request lacks, in exactly the words that app builds in the field know."""

from sunriza_assets.errors import ParameterError

__all__ = ["MissingParameterError"]


class MissingParameterError(ParameterError):
    """Something required is missing."""

    @property
    def public(self) -> str:
        """The text alone, without a full stop."""
        return self.what
