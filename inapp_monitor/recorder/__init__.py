"""In memory: what requests and instruments recorded, folded into deltas for the store."""
