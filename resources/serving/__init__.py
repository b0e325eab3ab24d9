"""The local store over HTTP on this machine: files, and the list of avatars."""
