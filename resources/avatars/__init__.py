"""Avatar documents and records: the store's protocol, its local and Firestore versions."""
