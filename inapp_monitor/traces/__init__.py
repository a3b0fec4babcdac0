"""Traces: what a request spent its time on, which statements it made, and from which line."""
