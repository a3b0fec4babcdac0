"""What graphite-web answers over a tree of Whisper files, as JSON.

    rendered.py GRAPHITE_ROOT WHISPER_DIRECTORY QUERIES.json

Runs in the environment that `venv.sh` made. QUERIES.json is a list of query parameters; the list of
answers is printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django_app


def main() -> int:
    root, whisper, queries = sys.argv[1:]
    client = django_app.prepare(Path(root), whisper=whisper)
    answers = []
    for query in json.loads(Path(queries).read_text("utf-8")):
        answer = client.get("/render", {**query, "format": "json"})
        shown = answer.content[-300:].decode("utf-8", "replace")
        answers.append(json.loads(answer.content) if answer.status_code == 200 else shown)
    print(json.dumps(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
