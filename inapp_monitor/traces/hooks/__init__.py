"""Where spans come from: a module a library, loaded once that library is."""
