"""The ready-made clients of `statsd`: `defaults.env.statsd`, `defaults.django.statsd`."""
