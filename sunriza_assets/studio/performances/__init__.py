"""Built-in performances: what moves a portrait for which there is no clip.

A performance is a motion script, curves over time without any picture: `script` keeps it and its
file, `plans` says what happens in the three there are, `builtin` makes scripts of that with
`curves`. What a face looks like under such curves is each engine's work (`Engine.perform`).
"""
