"""Errors: captured, grouped into issues, counted exactly, kept within bounds.

exception ─► tracker.capture ─► occurrences (traceback_key, grouping) ─► pending (counts)
                            └─► event (while the token bucket allows)
others' events ─► tracker.record_event ─► foreign_event ─► occurrences
tracker.flush ─► writer ─► finished_event (scrub) ─► merge_counts (in the queue of the database)
pages, command line ─► triage ─► queries + what is not written yet; actions
"""
