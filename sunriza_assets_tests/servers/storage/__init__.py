"""Cloud Storage for tests: the `gcp-storage-emulator` package with what it lacks added around it.

Added: preconditions on generations, Firebase's token URLs, pages, rewrites with new metadata, many
connections at once (each request is read before the lock is taken, and answered after it is given
back, so an idle or slow peer blocks nobody), and faults on demand.
"""
