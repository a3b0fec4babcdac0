"""Numbers from outside: listeners receive bytes, protocols turn them into points, `Intake` checks
them and hands them to the store. Empty on purpose: nothing is loaded before a door is opened."""
