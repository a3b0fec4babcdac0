"""The secret of the dashboard, for requests that ask to be traced."""

from __future__ import annotations

from inapp_monitor.ground.process import late_imports
from inapp_monitor.monitor.core import Core


def trace_secret(core: Core) -> str:
    """What a request that asks to be traced must know: the dashboard's token, or, where an
    authorizer decides, the key of its forms. Read when a request looks as if it asked."""
    with late_imports.loading():
        from inapp_monitor.web.access import login_token

    settings, guard = core.settings, core.guard
    if core.authorizer is not None:
        return login_token.form_key(settings, guard, may_write=True)
    return login_token.obtain(settings, guard).value
