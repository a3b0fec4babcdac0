"""The command line: one module a group of commands. `main` is the program's entry point."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`main`, loaded by those who run it."""
    if name == "main":
        from inapp_monitor.cli.command_line import main

        return main
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
