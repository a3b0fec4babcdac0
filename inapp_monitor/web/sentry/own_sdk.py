"""An SDK inside this very application: its requests to us must not make it send again.

An SDK that traces requests would send a transaction of each request that brings one: a loop without
an end. So the transaction of a request that an SDK sends to us is not sampled.
"""

from __future__ import annotations

import sys


def forget_this_request() -> None:
    """Keep an SDK in this process from reporting the request that is being answered."""
    library = sys.modules.get("sentry_sdk")
    if library is None:
        return
    try:
        for scope in (library.get_current_scope(), library.get_isolation_scope()):
            transaction = scope.transaction
            if transaction is not None:
                transaction.sampled = False
    except Exception:  # noqa: BLE001, S110  # another version of it
        pass
