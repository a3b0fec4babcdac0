"""Errors: captured, grouped into issues, counted exactly, kept within bounds.

exception ─► tracker.capture ─► traceback_key, grouping ─► pending (counts)
                            └─► event (while the token bucket allows)
tracker.flush ─► scrub ─► tables (through the queue of the database)
pages, command line ─► triage ─► queries + what is not written yet
"""
