"""Speech: text to sound with timed phones, sound to mouth, and mouth curves from either.

Knows nothing of Dagster, HTTP or where sound is stored.
"""
