"""Runs of avatars in this process: executing, watching and cancelling them."""
