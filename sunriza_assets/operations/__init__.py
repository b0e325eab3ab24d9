"""What keeps many avatars in order: backfills, the queue, how each stands, runs lost and runs old.

The graph says how one avatar is made; nothing here makes any.
"""
