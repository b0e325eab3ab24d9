"""From a mesh to a picture: one portrait, bent, blinking and speaking.

`rig` joins everything: `warp` says where each pixel comes from (`surroundings` beyond the face),
`background` lays the person over what stands behind, `lids` and `mouth` draw what no bending can.
Nothing here knows of clips or templates.
"""
