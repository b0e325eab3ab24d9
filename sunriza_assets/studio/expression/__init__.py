"""Visemes, emotions and the curves that shape them: shared by all engines."""
