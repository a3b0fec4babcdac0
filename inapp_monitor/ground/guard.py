"""The wall between the package's failures and the application: each call from outside ends here.

A part that fails is logged once and counted, and the status page lists it until it works again. A
part that asks `allows` before it runs is switched off for good after too many failures in a row;
errors of the operating system do not count for that, because they pass. Nothing here raises.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from inapp_monitor.ground.visible_text import visible_line

logger = logging.getLogger("inapp_monitor")

#: Failures in a row after which a part is switched off.
FAILURES_ALLOWED = 20


@dataclass(slots=True)
class Fault:
    """What is known about one failing part.

    Attributes:
        part: Name of the part, such as "flush" or "route capture".
        count: Failures since it last worked.
        first: Text of the first one: type, message and place.
        last: Text of the latest one.
        disabled: Whether the part is switched off.
    """

    part: str
    count: int = 0
    first: str = ""
    last: str = ""
    disabled: bool = False


def describe(error: BaseException) -> str:
    """One line: type, message and the innermost place, also for errors that cannot be printed."""
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001  # a hostile __str__ must not reach the application
        text = type(error).__name__
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is not None:
        code = traceback.tb_frame.f_code
        text += f" (at {code.co_filename}:{traceback.tb_lineno} in {code.co_name})"
    return visible_line(text[:500].replace("\n", " "))


class Guard:
    """The faults of one monitor.

    *Threads:* updates are plain dict and attribute writes; a lost count is acceptable.
    """

    def __init__(self, failures_allowed: int = FAILURES_ALLOWED) -> None:
        self.faults: dict[str, Fault] = {}
        self._failures_allowed = failures_allowed
        self._asking: set[str] = set()

    def failed(self, part: str, error: BaseException) -> None:
        """Note a failure of `part`; log the first one; switch the part off after too many."""
        try:
            fault = self.faults.get(part)
            if fault is None:
                fault = self.faults[part] = Fault(part)
            fault.count += 1
            fault.last = describe(error)
            if fault.count == 1:
                fault.first = fault.last
                logger.warning(
                    "inapp-monitor: %s failed, the application is not affected: %s",
                    part,
                    fault.last,
                )
            passes = isinstance(error, OSError) or part not in self._asking
            if fault.count >= self._failures_allowed and not passes and not fault.disabled:
                fault.disabled = True
                logger.error(
                    "inapp-monitor: %s failed %d times and is switched off: %s",
                    part,
                    fault.count,
                    fault.last,
                )
        except Exception:  # noqa: BLE001, S110  # the last line of defence: there is nobody to tell
            pass

    def allows(self, part: str) -> bool:
        """False once `part` has been switched off."""
        self._asking.add(part)
        fault = self.faults.get(part)
        return fault is None or not fault.disabled

    def recovered(self, part: str) -> None:
        """Forget the failures of a part that works again."""
        self.faults.pop(part, None)
