"""The SQLite file, and the tables that no other room owns."""
