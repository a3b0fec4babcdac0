"""Bytes to points, a file a protocol. Pure: no socket, no clock, no state between two calls."""
