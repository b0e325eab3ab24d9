"""Quality figures of rendered avatars, with limits that a rendering can fail.

Figures do not rest on the models that drive the rendering: clips and idles are measured with
independent landmark models, and every correlation has a control, the same curves shifted by a
third, that must be low. `python -m sunriza_assets.studio.quality FOLDER` renders, measures and
writes a report.
"""
