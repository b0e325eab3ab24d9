"""A small Firestore: the gRPC protocol `google.firestore.v1`, in memory, with faults on demand.

values.py    how Firestore orders, compares and measures values; field paths
store.py     documents, commits with preconditions, transforms, optimistic transactions
query.py     structured queries over indexes that are made as queries name fields
server.py    the gRPC service, and faults: errors before or after the work, delays, restarts

It has what a server client may do: no security rules, no listening, no index requirements.
What it does not know it refuses as UNIMPLEMENTED, never silently.
"""
