"""The assets: one module per stage of an avatar's life, each thin and declarative.

What a stage does stands in `sunriza_assets.studio`; what it calls on, in `resources`. Here is only
what exists, what it depends on, and what is told about it.
"""
