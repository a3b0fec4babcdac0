"""Links that open a source file in an editor: the editors and how to address them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

#: Addresses by editor, as each one documents them; the path is absolute.
EDITORS: Final[Mapping[str, str]] = {
    "vscode": "vscode://file{path}:{line}",
    "vscode-insiders": "vscode-insiders://file{path}:{line}",
    "vscodium": "vscodium://file{path}:{line}",
    "cursor": "cursor://file{path}:{line}",
    "windsurf": "windsurf://file{path}:{line}",
    "zed": "zed://file{path}:{line}",
    "pycharm": "pycharm://open?file={path}&line={line}",
    "idea": "idea://open?file={path}&line={line}",
    "sublime": "subl://open?url=file://{path}&line={line}",
    "textmate": "txmt://open?url=file://{path}&line={line}",
    "emacs": "emacs://open?url=file://{path}&line={line}",
    "macvim": "mvim://open?url=file://{path}&line={line}",
}
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]{1,300}", re.ASCII)
#: Schemes in which a browser runs or shows what follows.
_REFUSED = ("javascript:", "data:", "vbscript:", "blob:", "about:", "view-source:")


def parse_editor(value: object) -> str:
    """An editor's name, or an address with `{path}` and `{line}`; empty: no links."""
    text = value if isinstance(value, str) else "?"
    if not text or text in EDITORS:
        return text
    if _ADDRESS.fullmatch(text) and "{path}" in text and not text.startswith(_REFUSED):
        return text
    known = ", ".join(EDITORS)
    raise ValueError(f"one of {known}, or an address such as my-editor://{{path}}:{{line}}")


def link(editor: str, path: str, line: int) -> str:
    """The address that opens a line of a file; empty without an editor or an absolute path."""
    if not editor or not path.startswith("/"):
        return ""
    address = EDITORS.get(editor, editor)
    shown = quote(path.encode("utf-8", "replace"))
    return address.replace("{line}", str(max(line, 1))).replace("{path}", shown)
