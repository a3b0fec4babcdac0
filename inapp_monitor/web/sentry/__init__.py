"""The addresses that Sentry's SDKs send to."""
