"""What is unusual about a request that is being answered; most requests have none of it."""

from __future__ import annotations

from typing import Any

from inapp_monitor.request.samples import Sample
from inapp_monitor.traces.request_profile import RequestProfile


class Notes:
    """What is unusual about a request that is being answered.

    Attributes:
        announced: An exception that is an error if the answer is 5xx.
        answered_5xx: Whether the answer is 5xx, for whatever reason.
        client_left: Whether an exception of the client's connection has been seen.
        error: The application's exception, once seen.
        outer: The exchange of a monitor further out, which learns what this one learns.
        profile: Of a request that is profiled.
        recorded_by: What has recorded errors of this request that were logged or captured.
        sample: Of requests that are looked at closer: thread and its CPU seconds on entry.
    """

    __slots__ = (
        "announced",
        "answered_5xx",
        "client_left",
        "error",
        "outer",
        "profile",
        "recorded_by",
        "sample",
    )

    def __init__(self) -> None:
        self.announced: BaseException | None = None
        self.answered_5xx = False
        self.client_left = False
        self.error: BaseException | None = None
        self.outer: Any = None
        self.profile: RequestProfile | None = None
        self.recorded_by: tuple[object, ...] = ()
        self.sample: Sample | None = None
