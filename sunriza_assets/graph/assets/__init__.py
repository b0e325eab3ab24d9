"""The assets: one module per stage of an avatar's life, each thin and declarative.

What a stage computes is in `sunriza_assets.studio`; the services it uses are in `resources`. Here
are only the assets, their dependencies and their metadata.
"""
