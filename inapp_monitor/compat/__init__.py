"""Modules with the signatures of libraries that apps may use already."""
