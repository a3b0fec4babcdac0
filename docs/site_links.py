"""Hook of the documentation's site: links that leave `docs/` lead to the repository, and the
changelog of the project's root becomes a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_OUT = re.compile(r"\]\(\.\./([^)#\s]+)(#[^)\s]*)?\)")
_CHANGELOG = "changelog.md"


def on_files(files: Any, config: Any) -> Any:
    """Add what lies outside of the folder."""
    from mkdocs.structure.files import File

    text = (_ROOT / "CHANGELOG.md").read_text("utf-8").replace("](docs/", "](")
    files.append(File.generated(config, _CHANGELOG, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Links to `../X` lead to X in the repository."""
    return _OUT.sub(
        lambda found: f"]({config.repo_url}/blob/main/{found[1]}{found[2] or ''})", markdown
    )
