"""Where notices go: a module a kind of receiver. Loaded on first need."""
