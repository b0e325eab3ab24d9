"""The resources of the assets: stores, engines, caches and the media IO manager.

Thin adapters: settings go in, plain domain objects come out. Rendering is in
`sunriza_assets.studio`; nothing here decides how an avatar looks.
"""
