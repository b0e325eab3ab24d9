"""From a mesh to a picture: one portrait, bent, blinking and speaking.

`rig` joins everything: `warp` says where each pixel comes from (`surroundings` beyond the face),
`background` lays the person over the background plate, `lids` and `mouth` draw what a warp cannot.
Clips and templates do not belong here.
"""
