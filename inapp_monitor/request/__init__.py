"""The request path, requests under way, their stacks, and the slowest ones."""
