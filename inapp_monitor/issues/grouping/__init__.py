"""Which errors are one issue: a rule in each module, so that an old rule can stay."""
