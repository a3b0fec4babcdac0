"""Names of code that stay the same from one process and one deployment to the next. Pure.

A module may be called after the path of a template, the address of an object, or a number that a
loader made up; a generated function often carries a number too. None of these says where in the
source a failure is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
#: What nobody types: long numbers and digests.
_MADE_UP = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
    r"|(?<![0-9a-z])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}(?![0-9a-z])"
    r"|\d{6,}"
)
_SHORT_DIGEST = re.compile(r"(?<![0-9a-z])(?=[a-f]*\d)[0-9a-f]{6,}(?![0-9a-z])")
_NUMBER = re.compile(r"\d+")
#: Folders whose content is named from there.
_TEMPLATE_FOLDERS = ("templates", "template", "views")
#: Names of files that many plugins have.
_USUAL_FILES = ("plugin", "main", "module", "__init__", "__main__", "app", "tasks", "views")
_ANONYMOUS = re.compile(r"\.?<(?:locals|listcomp|setcomp|dictcomp|genexpr|lambda)>")


def plain_function(qualname: str, *, generated: bool = False) -> str:
    """A qualified name without `<locals>`, lambdas and comprehensions (3.12 inlines those), and
    without numbers that were made up; empty for a lambda of a module."""
    return without_numbers(_ANONYMOUS.sub("", qualname).strip("."), every=generated)


def without_numbers(name: str, *, every: bool = False) -> str:
    """A name without addresses, digests and long numbers; with `every`, without any number."""
    name = _MADE_UP.sub("<number>", _ADDRESS.sub("<address>", name))
    return _NUMBER.sub("<number>", _SHORT_DIGEST.sub("<number>", name)) if every else name


def plain_module(module: str, file: str, main: str, roots: Sequence[str]) -> str:
    """What a module is called wherever it is deployed and however it is loaded.

    Args:
        module: Its `__name__`.
        file: The file name of its code.
        main: The name in its `__spec__`, for what runs as `__main__`.
        roots: Folders that modules are imported from, with a separator at the end.
    """
    if "/" in module or "\\" in module:  # a template, called by its file
        return without_numbers(_below(module.replace("\\", "/"), roots))
    stem = _stem(file)
    if module in ("__main__", "__mp_main__"):
        return without_numbers(main or stem or module)
    last = module.rpartition(".")[2]
    if not stem or stem == last or f"/{last}/__init__.py" in file.replace("\\", "/"):
        return without_numbers(module)
    plain = without_numbers(module, every=True)
    # A loader that numbers its modules: the file says which one it is.
    return plain if plain == module else f"{plain} ({_named_file(file, stem)})"


def _named_file(file: str, stem: str) -> str:
    if stem in _USUAL_FILES:
        folder = file.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
        stem = f"{folder}/{stem}"
    return without_numbers(stem)


def _stem(file: str) -> str:
    """The name of a Python file without its folder and `.py`; empty for anything else."""
    name = file.replace("\\", "/").rpartition("/")[2]
    return name[:-3] if name.endswith(".py") else ""


def _below(path: str, roots: Sequence[str]) -> str:
    """The part of a template's path that does not depend on where the app is deployed."""
    parts = path.split("/")
    for position in range(len(parts) - 2, -1, -1):
        if parts[position] in _TEMPLATE_FOLDERS:
            return "/".join(parts[position + 1 :])
    inside = max((root for root in roots if path.startswith(root)), key=len, default="")
    if inside:
        return path[len(inside) :]
    folder = parts[-2] if len(parts) > 1 else ""
    # A folder with a number may be that of a release.
    return parts[-1] if not folder or _NUMBER.search(folder) else f"{folder}/{parts[-1]}"
