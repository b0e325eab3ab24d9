"""Operating many avatars: backfills, limits, retries, lost runs, pruning and purging.

How one avatar is made is in `graph`, not here.
"""
