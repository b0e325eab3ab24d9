"""A portrait and a talking clip of the project's own, with everything about the clip known."""
