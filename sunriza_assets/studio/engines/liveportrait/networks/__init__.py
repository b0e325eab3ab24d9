"""The networks of LivePortrait as torch modules whose state dicts are the official files'.

Each module here is written in the plainest form that the published weights fit; its `forward` is
the reference that parity tests hold to recorded outputs, and the loop that `bench` measures
against. What renders is in `fast`, built from these modules once their weights are loaded.
"""
