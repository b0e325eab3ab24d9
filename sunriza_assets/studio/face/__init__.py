"""Faces: their models, where they are in a picture, their landmarks, and what is read off these.

Nothing here knows of avatars, clips' files or animation.
"""
