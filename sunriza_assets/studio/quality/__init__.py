"""How good rendered avatars are, in figures that can fail.

Whoever drives a face must not grade it: faces in clips and idles are looked at by the independent
landmark models, and every correlation has a control, the same curves a third out of step, that must
find nothing. `python -m sunriza_assets.studio.quality FOLDER` renders and writes a report.
"""
