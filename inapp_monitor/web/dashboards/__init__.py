"""Saved dashboards and those that are files."""
