"""Media objects: the storage's protocol, its local and Firebase versions, transfer and serving."""
