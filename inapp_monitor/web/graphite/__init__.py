"""Graphite's HTTP API: render, find, events, tags, functions."""
