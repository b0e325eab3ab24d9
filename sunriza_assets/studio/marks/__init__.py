"""Marks: C2PA manifests in files that say they are synthetic, and the key that signs them.

What belongs here: the key, what a mark says, writing and reading marks. Which files get one is
decided where they are published. The library is optional at run time: `is_available`.
"""
