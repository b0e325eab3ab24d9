"""Media in and out: probe, trim, encode, conform; pictures, previews and what is published beside.

Files from outside are untrusted; published files use only what every player supports. Nothing here
depends on faces or avatars.
"""
