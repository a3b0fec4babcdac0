"""Every Python block of the README runs as it stands, and the app it makes can be watched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

README = Path(__file__).parents[2] / "README.md"
TITLED_BLOCK = re.compile(r"\*\*(?P<title>[^*]+)\*\*[^\n]*\n\n```python\n(?P<code>.*?)```", re.S)
BLOCK = re.compile(r"```python\n(.*?)```", re.S)

#: What a real project has around the recipe, and nothing of ours.
SURROUNDINGS = {
    "Django": """
import sys, types
sys.modules["site_urls"] = types.ModuleType("site_urls"); sys.modules["site_urls"].urlpatterns = []
from django.conf import settings
settings.configure(SECRET_KEY="x", ROOT_URLCONF="site_urls", ALLOWED_HOSTS=["*"])
""",
}

#: Sends two requests to what the recipe made, then asks the dashboard how many it has seen.
VISIT = """
import json
from wsgiref.util import setup_testing_defaults
made = globals().get("application") or app.wsgi_app

def get(path, query="", **headers):
    environ = {"PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": "127.0.0.1", **headers}
    setup_testing_defaults(environ)
    answer = []
    body = made(environ, lambda status, headers, exc_info=None: answer.append(status))
    try:
        content = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    return answer[0], content

statuses = [get("/")[0], get("/no/such/page")[0]]
status, content = get(
    "/_metrics/render",
    "target=requests.time.count&from=-5min&format=json",
    HTTP_AUTHORIZATION="Bearer readme-test-token",
)
print(json.dumps({"statuses": statuses, "render": status, "content": content.decode()}))
"""


def titled_blocks() -> dict[str, str]:
    return {match["title"]: match["code"] for match in TITLED_BLOCK.finditer(README.read_text())}


def other_blocks() -> list[str]:
    titled = set(titled_blocks().values())
    return [code for code in BLOCK.findall(README.read_text()) if code not in titled]


def run(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    file = directory / "recipe.py"
    file.write_text(code, "utf-8")
    source = str(README.parent)
    return subprocess.run(
        [sys.executable, str(file)],
        cwd=directory,
        env={
            "PATH": "/usr/bin:/bin",
            "INAPP_MONITOR_TOKEN": "readme-test-token",
            "PYTHONPATH": source,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_readme_has_a_recipe_for_each_promised_framework() -> None:
    """Six frameworks and plain WSGI."""
    expected = {"Flask", "Django", "Pyramid", "Bottle", "Falcon", "CherryPy", "Any WSGI callable"}
    assert set(titled_blocks()) == expected


@pytest.mark.parametrize("title", sorted(titled_blocks()))
def test_a_recipe_makes_an_app_that_is_watched(title: str, tmp_path: Path) -> None:
    """The app answers, and the dashboard has counted exactly what it answered."""
    result = run(SURROUNDINGS.get(title, "") + titled_blocks()[title] + VISIT, tmp_path)
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout.splitlines()[-1])
    assert all(re.match(r"[2-4]\d\d ", status) for status in seen["statuses"])
    assert seen["render"].startswith("200"), seen
    points = json.loads(seen["content"])[0]["datapoints"]
    assert sum(value or 0 for value, _ in points) == 2


@pytest.mark.parametrize("code", other_blocks())
def test_the_other_blocks_run(code: str, tmp_path: Path) -> None:
    """Without an error and without a warning of ours."""
    result = run(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "inapp-monitor" not in result.stderr
