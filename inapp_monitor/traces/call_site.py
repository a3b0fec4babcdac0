"""Which lines of the application ask for something: the innermost frames that are its own.

Walking a stack costs 6 to 13 us, so `spans` does it only for what repeats, is slow or is new.
Nothing of a frame is kept but its code and line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import CodeType, FrameType

from inapp_monitor.ground import current_request

#: Frames of the application that are kept, innermost first.
MAX_FRAMES = 3
#: Frames looked at.
MAX_DEPTH = 200
MAX_CODES = 5_000

#: Code and line, innermost first.
Site = tuple[tuple[CodeType, int], ...]

_OWN = f"{Path(__file__).absolute().parents[1]}{os.sep}"
_STANDARD = f"{Path(os.__file__).parent}{os.sep}"
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_LIBRARIES = (_OWN, _STANDARD, f"{Path(_STANDARD).resolve()}{os.sep}", "<")

_is_library: dict[CodeType, bool] = {}
_packages: tuple[str, ...] = ()


def know_packages(names: tuple[str, ...]) -> None:
    """Packages of the application, which may be installed like a library."""
    global _packages
    if names != _packages:
        _packages = names
        _is_library.clear()


def find(depth: int = 2) -> Site:
    """The application's frames that lead to the caller's caller. *Cost:* 6-13 us."""
    frame: FrameType | None = sys._getframe(depth)
    found: list[tuple[CodeType, int]] = []
    for _ in range(MAX_DEPTH):
        if frame is None:
            break
        code = frame.f_code
        known = _is_library.get(code)
        if known is None:
            if current_request.variable_of(frame) is not None:
                break  # what called the application is a server
            known = _learn(frame)
        if not known:
            found.append((code, frame.f_lineno))
            if len(found) == MAX_FRAMES:
                break
        frame = frame.f_back
    return tuple(found)


def _learn(frame: FrameType) -> bool:
    if len(_is_library) >= MAX_CODES:
        _is_library.clear()
    name, module = frame.f_code.co_filename, frame.f_globals.get("__name__", "")
    is_library = name.startswith(_LIBRARIES) or any(part in name for part in _INSTALLED)
    if is_library and not name.startswith(_OWN) and type(module) is str:
        is_library = module.partition(".")[0] not in _packages
    _is_library[frame.f_code] = is_library
    return is_library


def show(site: Site) -> list[str]:
    """The frames as people read them: `shop/catalog.py:31 in list_products`."""
    return [f"{short_file(code.co_filename)}:{line} in {code.co_name}" for code, line in site]


def short_file(filename: str) -> str:
    """A file's path below the folder that Python imports it from; never a path of the machine."""
    best = ""
    for folder in sys.path:  # "" is the working directory
        prefix = f"{Path(folder).absolute()}{os.sep}" if type(folder) is str else filename
        if len(prefix) > len(best) and filename.startswith(prefix):
            best = prefix
    if best:
        return filename[len(best) :].replace(os.sep, "/")
    return "/".join(filename.replace(os.sep, "/").split("/")[-2:])
