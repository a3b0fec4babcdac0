"""README.md as the package index shows it: its links and pictures lead to the repository.

A hook of hatchling: the file in the repository keeps links that work beside it.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_REPOSITORY = "inapp-monitor/inapp-monitor"
_RELATIVE = re.compile(r"(!?)(\[[^\]]*\])\((?!https?:|mailto:|#)([^)\s]+)\)")


def absolute(text: str, version: str) -> str:
    """The text, its relative links and pictures made absolute for the tag of a version."""
    tag = f"v{version}"
    pages = f"https://github.com/{_REPOSITORY}/blob/{tag}/"
    pictures = f"https://raw.githubusercontent.com/{_REPOSITORY}/{tag}/"

    def replaced(found: re.Match[str]) -> str:
        mark, words, target = found.groups()
        return f"{mark}{words}({pictures if mark else pages}{target})"

    return _RELATIVE.sub(replaced, text)


class IndexReadme(MetadataHookInterface):
    """Gives the project its description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`, which pyproject.toml declares dynamic."""
        text = (Path(self.root) / "README.md").read_text("utf-8")
        text = absolute(text, metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
