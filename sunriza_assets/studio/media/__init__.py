"""Media in and out: probe, trim, encode, conform; pictures, previews and what is published beside.

Files from outside are hostile and files that go out are conservative. Nothing here knows of faces
or avatars.
"""
