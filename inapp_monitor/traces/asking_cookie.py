"""The cookie by which a browser asks that its requests are traced. Requests look for its name, so
nothing else is in here, and nothing is imported; what it must say is in `asking`."""

NAME = "inapp_monitor_trace"
