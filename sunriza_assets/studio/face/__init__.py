"""Faces: their models, where they are in a picture, their landmarks, and what is read off these.

Nothing here depends on avatars, clip files or animation.
"""
