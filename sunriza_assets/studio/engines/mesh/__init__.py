"""The CPU engine: one portrait photo, bent along a face mesh, blinks, speaks and turns its head.

It needs no trained generator: landmarks drive an exact warp of the photo, eyelids and the inside of
the mouth are drawn on top. `motion` goes from a clip to the mesh of every frame, `drawing` from a
mesh to a picture; `visemes` shapes the mouth into the cells of the atlas, `rim` keeps cells and
idle aligned, `expressions` draws single ones; `engine` implements the engine protocols.

Arrays of its motion template, T frames of the clip:

==================  =================  ===========================================================
``neutral``         (478, 3) float32   the face at rest, clip pixels; z on the scale of x
``rotation``        (T, 3) float32     head rotation vector relative to neutral, radians, clip axes
``log_scale``       (T,) float32       natural logarithm of the head's size relative to neutral
``translation``     (T, 3) float32     shift of the head in IOD, x right, y down (z unused)
``expression``      (T, 468, 3) f16    offsets of the mesh from neutral, pose undone, IOD
``closure``         (T, 2) float32     eyelids, subject's right and left: 1 - opening over usual
                                       opening as measured; a shut eye measures about 0.65
``gaze``            (T, 2, 2) float32  shift of either iris from neutral in eye widths, x along the
                                       eye to the right, y down
``mouth_opening``   (T,) float32       distance of the inner lips, IOD, absolute
``mouth_texture``   (T, h, w, 3) u8    the clip's open mouth cut out between the inner lips,
                                       columns from corner to corner, rows from upper to lower
                                       lip; none (T = 0) has the mouth painted
``skin``            (3,) float32       RGB of the clip's skin around the mouth
==================  =================  ===========================================================

IOD is the distance of the outer eye corners of the neutral face.
"""
