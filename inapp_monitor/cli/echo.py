"""What the command line prints: nothing in it acts on the terminal, whatever was recorded.

Commands print with these only, and never with `click.echo`.
"""

from __future__ import annotations

import click

from inapp_monitor.ground.visible_text import visible, visible_line


def line(text: str, *, err: bool = False) -> None:
    """One line, whatever is in it."""
    click.echo(visible_line(text), err=err)


def block(text: str) -> None:
    """Lines whose parts have been made one line each."""
    click.echo(visible(text))


def document(text: str) -> None:
    """JSON, TOML or Markdown as it was written: for programs."""
    click.echo(text.rstrip("\n").replace("\x7f", "\\u007f"))
