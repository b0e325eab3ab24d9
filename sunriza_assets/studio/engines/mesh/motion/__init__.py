"""From a clip to the mesh of every frame: what moves, how far, and when.

`extract` reads a template off a clip and `perform` writes one from a motion script; `timing`
chooses what it is relative to (`reference`), smooths it and closes the loop; `transfer` lays it out
for one portrait, within `limits`. Nothing here draws.
"""
