"""The craft: media, faces, motion, engines and overlays, usable from a plain script.

Not one module below this one imports Dagster, a store or the network's clients: files and arrays
go in, files and arrays come out. Pixels are RGB uint8 (H, W, 3) at module borders; landmark
coordinates are continuous pixels (x, y), pixel i covering [i, i + 1); frame rates are
`fractions.Fraction`. Lengths on faces are in IOD, the distance of the outer eye corners.
"""
