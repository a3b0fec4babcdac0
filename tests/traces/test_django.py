"""Django: its database, templates and caches, also of connections older than the monitor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys, threading
import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.template import Context, Template

call_command("migrate", verbosity=0)
connection.ensure_connection()  # older than the monitor
cache.get("x")  # loads its backend

from pathlib import Path
from tests.traces.conftest import Traced
from inapp_monitor.traces.spans import KIND_NAMES

traced = Traced(Path(sys.argv[2]))


async def view():
    await Group.objects.acreate(name="S3CR3T4")
    assert len([each async for each in Group.objects.all()]) == 7
    await Group.objects.filter(name="S3CR3T4").aupdate(name="S3CR3T5")
    try:
        await Group.objects.acreate(name="S3CR3T5")
    except IntegrityError:
        pass


def work():
    Group.objects.create(name="S3CR3T")
    Group.objects.bulk_create([Group(name=f"S3CR3T{n}") for n in range(3)])
    assert Group.objects.filter(name__startswith="S3CR3T").count() == 4
    list(Group.objects.iterator())
    with transaction.atomic(), transaction.atomic():
        Group.objects.update(name="x" + "S3CR3T") if False else None
    with connection.cursor() as cursor:
        cursor.executemany("insert into auth_group (name) values (%s)", [["a"], ["b"]])
        try:
            cursor.execute("select nothing")
        except DatabaseError:
            pass
    list(Group.objects.raw("select id, name from auth_group where name = %s", ["S3CR3T"]))
    async_to_sync(view)()
    cache.get("S3CR3T")
    cache.set("S3CR3T", "S3CR3T")
    cache.get("S3CR3T")
    Template("{{ x }}").render(Context({"x": 1}))


for span in traced.tracing.shaped(traced.run(work)):
    print(KIND_NAMES[span.kind], span.system, span.rows, span.error, span.text, sep="|")
traced.monitor.close()
"""


def test_each_statement_once(tmp_path: Path) -> None:
    """ORM, async too, raw queries and cursors, savepoints, errors; no value is shown."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "shop.db", tmp_path / "data"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    rows = [line.split("|") for line in found.stdout.splitlines()]
    assert "S3CR3T" not in found.stdout
    # Whether BEGIN is a statement of its own depends on Django's version.
    assert [row[4] for row in rows if row[4] != "BEGIN"] == [
        'INSERT INTO "auth_group" ("name") VALUES (?) RETURNING "auth_group"."id"',
        'INSERT INTO "auth_group" ("name") VALUES (?) RETURNING "auth_group"."id"',
        'SELECT COUNT(*) AS "__count" FROM "auth_group" WHERE "auth_group"."name" LIKE ? ESCAPE ?',
        'SELECT "auth_group"."id", "auth_group"."name" FROM "auth_group"',
        "SAVEPOINT ?",
        "RELEASE SAVEPOINT ?",
        "insert into auth_group (name) values (?)",
        "select nothing",
        "select id, name from auth_group where name = ?",
        'INSERT INTO "auth_group" ("name") VALUES (?) RETURNING "auth_group"."id"',
        'SELECT "auth_group"."id", "auth_group"."name" FROM "auth_group"',
        'UPDATE "auth_group" SET "name" = ? WHERE "auth_group"."name" = ?',
        'INSERT INTO "auth_group" ("name") VALUES (?) RETURNING "auth_group"."id"',
        "get LocMemCache",
        "set LocMemCache",
        "get LocMemCache",
        "(string)",
    ]
    databases = [row for row in rows if row[0] == "database"]
    assert {row[1] for row in databases} == {"sqlite shop.db"}
    errors = ["OperationalError", "IntegrityError"]
    assert [row[3] for row in databases if row[3] != "None"] == errors
    # What RETURNING gives is not known yet.
    changes = {row[4].split()[0]: row[2] for row in databases if row[2] != "None"}
    assert changes == {"insert": "2", "UPDATE": "1"}
    assert [row[2] for row in rows if row[0] == "cache"] == ["0", "None", "1"]
