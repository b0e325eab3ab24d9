"""Speaking as a resource: voices behind workers, and the cache of what they have spoken."""
