"""Print pip constraints that hold each direct dependency at the lowest release it allows."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
for requirement in project["dependencies"]:
    bound = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,<[\w.]+)?", requirement)
    if bound is None:
        raise SystemExit(
            f"pyproject.toml: {requirement!r} must have the form name>=version[,<version]"
        )
    print(f"{bound[1]}=={bound[2]}")
