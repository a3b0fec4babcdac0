"""What Sentry's SDKs send, understood: protocol, mapping, grouping. No HTTP here."""
