"""How the command line fails: wrong input is one line on stderr and exit status 2."""

from __future__ import annotations

import os
from typing import IO, Any

import click

from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.visible_text import visible_line

#: What a shell reports of a program that nobody listens to any more.
_BROKEN_PIPE = 141


class OneLine(click.ClickException):
    """Wrong input: one line on stderr, exit status 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        text = visible_line(" ".join(self.message.split()))
        click.echo(f"inapp-monitor: {text}", err=True, file=file)


class Group(click.Group):
    """Turns errors about the input into one line and exit status 2."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Read the arguments in front of the command's name."""
        try:
            return super().parse_args(context, arguments)
        except click.UsageError as error:
            raise _usage(error) from None

    def invoke(self, context: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(context)
        except click.UsageError as error:
            raise _usage(error) from None
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered goes nowhere
            context.exit(_BROKEN_PIPE)
        except (MonitorError, OSError) as error:
            raise OneLine(str(error)) from None


def _usage(error: click.UsageError) -> click.ClickException:
    """The line for wrong arguments; no arguments at all stay a call for help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    path = error.ctx.command_path if error.ctx is not None else "inapp-monitor"
    return OneLine(f"{error.format_message()} See {path} --help")
