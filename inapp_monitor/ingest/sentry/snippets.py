"""What to put into an application so that its SDK sends here. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Snippet(NamedTuple):
    """One way: who it is for, how to install, and the code."""

    name: str
    install: str
    code: str


def of(dsn: str, project: str) -> list[Snippet]:
    """The snippets for a DSN."""
    return [
        Snippet(
            "Browser",
            "npm install @sentry/browser",
            'import * as Sentry from "@sentry/browser";\n\n'
            f'Sentry.init({{\n  dsn: "{dsn}",\n  release: "{project}@1.0.0",\n}});\n',
        ),
        Snippet(
            "Node",
            "npm install @sentry/node",
            'const Sentry = require("@sentry/node");\n\n'
            f'Sentry.init({{\n  dsn: "{dsn}",\n  release: "{project}@1.0.0",\n}});\n',
        ),
        Snippet(
            "Python",
            "pip install sentry-sdk",
            "import sentry_sdk\n\n"
            f'sentry_sdk.init(\n    dsn="{dsn}",\n    release="{project}@1.0.0",\n)\n',
        ),
    ]
