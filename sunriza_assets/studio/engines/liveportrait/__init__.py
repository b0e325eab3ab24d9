"""The GPU engine: LivePortrait's networks, our own implementation, the published weights.

A portrait is read once into features and 21 keypoints; a clip is read frame by frame into motion;
keypoints moved by that motion warp the features, and a generator paints them, many poses at a time.
Nothing here tracks faces or encodes video.

Arrays of its motion template, T frames of the clip, all float32, 568 bytes a frame:

============  ==============  ====================================================================
``scale``     (T, 1)          size of the head
``rotation``  (T, 3, 3)       head rotation, for row vectors (keypoints @ rotation)
``exp``       (T, 21, 3)      expression: offsets of the keypoints, before the scale
``t``         (T, 3)          translation; z is never used
``kp``        (T, 21, 3)      canonical keypoints of the face in the clip (optional, unused)
``eyes``      (T, 2)          lid distance over eye width, the eye on the picture's left first
                              (optional: without it eyes cannot be driven by opening)
``lip``       (T, 1)          inner lip distance over mouth width (optional, with ``eyes``)
============  ==============  ====================================================================

Keypoints are (x right, y down, z into the picture) in units in which the 256-pixel face crop spans
-1 to 1. Templates of the published code (`.pkl`) are read and written by `upstream`.

What came from where: the networks' layout and the pipeline's arithmetic are those of LivePortrait
(arXiv 2407.03168; code and weights under MIT); its InsightFace models, which are for
non-commercial use only, are replaced by the face mesh.
"""
