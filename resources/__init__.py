"""What the assets call on: stores, engines, caches and the media IO manager, as Dagster resources.

Thin adapters: settings go in, plain domain objects come out. The craft itself lives in
`sunriza_assets.studio`; nothing here decides how an avatar looks.
"""
