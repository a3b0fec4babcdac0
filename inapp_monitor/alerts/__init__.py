"""Judging and notifying: rules, states, incidents, and the messages about them."""
