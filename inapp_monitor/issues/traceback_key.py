"""From an exception to a key that finds its fingerprint again fast."""

from __future__ import annotations

from types import CodeType
from typing import NamedTuple

from inapp_monitor.issues import exception_tree
from inapp_monitor.issues.shapes_v2 import plain_message

#: Frames of one traceback that the key looks at: the outermost few and the innermost.
MAX_KEY_FRAMES, KEY_OUTERMOST = 120, 20


class Key(NamedTuple):
    """What finds the fingerprint of an exception again.

    Attributes:
        value: Names of classes, and ids of code objects with instruction offsets.
        codes: What the ids stand for: the value means nothing once one of them is gone.
        raising: The code that raised the exception; None without a traceback.
    """

    value: tuple[object, ...]
    codes: tuple[CodeType, ...]
    raising: CodeType | None


def key_of(exception: BaseException) -> Key:
    """A key that is the same for exceptions that came the same way."""
    links, _ = exception_tree.walk(exception, exception_tree.MAX_COMPARED)
    key: list[object] = []
    codes: list[CodeType] = []
    raising: CodeType | None = None
    for link in links:
        cls = type(link.exception)
        # By its names: a class that a function made is another one each time.
        key.append(exception_tree.class_module(cls))
        key.append(exception_tree.class_qualname(cls))
        key.append(exception_tree.is_group(link.exception))
        key.append(link.relation)
        traceback = exception_tree.traceback_of(link.exception)
        entries = []
        while traceback is not None:
            entries.append(traceback)
            traceback = traceback.tb_next
        if len(entries) > MAX_KEY_FRAMES:
            entries = entries[:KEY_OUTERMOST] + entries[KEY_OUTERMOST - MAX_KEY_FRAMES :]
        code = None
        for entry in entries:
            code = entry.tb_frame.f_code
            codes.append(code)
            key.append(id(code))
            key.append(entry.tb_lasti)
        raising = raising or code
        if code is None:  # never raised: its message says what it is
            key.append(plain_message(link.exception))
    return Key(tuple(key), tuple(codes), raising)
