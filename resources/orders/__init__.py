"""Orders: what callers of the service have asked for, and how far it is.

The word is *order*, because a job is Dagster's; outside, in the HTTP service, it is called a job.
Nothing here imports Dagster: the API process reads and writes orders.
"""
