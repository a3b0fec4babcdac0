"""Log messages in pairs: whether two of them tell of the same event, as a person says."""

from __future__ import annotations

from typing import NamedTuple


class MessagePair(NamedTuple):
    """Two messages, and whether they are the same issue."""

    name: str
    same: bool
    first: str
    second: str


_DIED = """worker {} died
Traceback (most recent call last):
  File "/srv/{}/shop/jobs.py", line {}, in run
    {}
  File "/srv/{}/shop/{}.py", line 9, in {}
    raise {}
{}
"""

_SAME = (
    ("a number", "order 17 is lost", "order 18 is lost"),
    (
        "a uuid",
        f"job {'a' * 8}-1111-2222-3333-{'b' * 12} failed",
        f"job {'c' * 8}-4444-5555-6666-{'d' * 12} failed",
    ),
    ("an address", "no answer from 192.0.2.7:80", "no answer from 192.0.2.9:80"),
    ("a mail address", "cannot send to ada@example.org", "cannot send to bob@example.net"),
    ("a URL", "GET https://a.example/x?y=1 failed", "GET https://b.example/z failed"),
    ("a time", "stopped at 2026-11-27T10:00:07Z", "stopped at 2026-11-28 11:30:00"),
    ("a duration", "slow query: 1250ms", "slow query: 2133ms"),
    ("a hash", "commit 9f8e7d6c5b4a3f2e is gone", "commit 1a2b3c4d5e6f7a8b is gone"),
    (
        "the address of an object",
        "<Order object at 0x7f01> leaked",
        "<Order object at 0x7f99> leaked",
    ),
    ("a quoted name", "no such key 'abc'", "no such key 'xyz'"),
    ("a quoted person", "unknown user 'Ada Lovelace'", "unknown user 'Alan Turing'"),
    ("name=value", "declined user=ada amount=7", "declined user=bob amount=9"),
    ("quoted name='value'", "declined user='ada'", "declined user='bob'"),
    (
        "JSON, other user",
        '{"event": "payment declined", "user": "ada"}',
        '{"event": "payment declined", "user": "bob"}',
    ),
    (
        "JSON, one field more",
        '{"event": "payment declined", "user": "ada"}',
        '{"event": "payment declined", "user": "bob", "ip": "::1"}',
    ),
    ("JSON, another order", '{"event": "full", "size": 1}', '{"size": 2, "event": "full"}'),
    (
        "JSON, timestamp",
        '{"message": "full", "ts": "2026-11-27T10:00:07Z"}',
        '{"message": "full", "ts": "2026-11-28T11:00:00Z"}',
    ),
    ("a dictionary", "{'event': 'full', 'host': 'a'}", "{'event': 'full', 'host': 'b'}"),
    (
        "a dictionary with an object",
        "{'event': 'full', 'at': <Disk a>}",
        "{'event': 'full', 'at': <Disk b>}",
    ),
    (
        "logfmt",
        'level=error msg="mailbox full" user=ada',
        'level=error msg="mailbox full" user=bob',
    ),
    (
        "structlog in colours",
        "\x1b[31mpayment declined\x1b[0m user=ada",
        "\x1b[31mpayment declined\x1b[0m user=bob",
    ),
    (
        "a nested message",
        '{"error": {"message": "quota of 5 exceeded"}}',
        '{"error": {"message": "quota of 9 exceeded"}}',
    ),
    (
        "a traceback in the text, deployed elsewhere",
        _DIED.format(3, 17, 4, "pay()", 17, "cards", "pay", "CardError(1)", "CardError: 1"),
        _DIED.format(4, 18, 6, "pay()", 18, "cards", "pay", "CardError(2)", "CardError: 2"),
    ),
    (
        "a pretty-printed document",
        '{\n  "event": "full",\n  "user": "ada"\n}',
        '{\n  "event": "full",\n  "user": "bob"\n}',
    ),
)
_DIFFERENT = (
    ("other words", "order is lost", "order is late"),
    ("two templates", "no stock of %s", "no price of %s"),
    ("templates that differ in a quoted name", "no setting 'alpha' in %s",
     "no setting 'beta' in %s"),
    ("JSON, two events", '{"event": "payment declined", "user": 7}',
     '{"event": "mailbox full", "user": 7}'),
    ("JSON, two messages", '{"level": "error", "message": "payment declined"}',
     '{"level": "error", "message": "mailbox full"}'),
    ("JSON, one event for two reasons", '{"event": "job failed", "error": "connection refused"}',
     '{"event": "job failed", "error": "disk is full"}'),
    ("two dictionaries", "{'event': 'payment declined', 'user': 7}",
     "{'event': 'mailbox full', 'user': 7}"),
    ("two dictionaries with objects", "{'event': 'payment declined', 'of': <Card>}",
     "{'event': 'mailbox full', 'of': <Card>}"),
    ("event='...'", "event='payment declined' user_id=7", "event='mailbox full' user_id=7"),
    ("logfmt", 'level=error msg="mailbox full" user=7', 'level=error msg="disk is gone" user=7'),
    ("a quoted sentence", "'payment declined' for 7", "'mailbox full' for 7"),
    ("apostrophes", "can't read the file, won't retry", "can't send the mail, won't retry"),
    ("a nested message", '{"error": {"message": "quota exceeded"}}',
     '{"error": {"message": "no such host"}}'),
    ("without a message, other names", '{"disk": "a", "free": 0}', '{"card": "a", "limit": 0}'),
    ("other types", '{"type": "CardError", "value": 7}', '{"type": "MailError", "value": 7}'),
    ("tracebacks in the text",
     _DIED.format(3, 17, 4, "pay()", 17, "cards", "pay", "CardError(1)", "CardError: 1"),
     _DIED.format(3, 17, 4, "send()", 17, "mails", "send", "MailError(1)", "MailError: 1")),
    ("a pretty-printed document", '{\n  "user": "ada",\n  "event": "full"\n}',
     '{\n  "user": "ada",\n  "event": "declined"\n}'),
    ("an unquoted value", "upload: state=rejected", "upload: state=expired"),
)  # fmt: skip

PAIRS = [
    *(MessagePair(f"message: {name}", True, *texts) for name, *texts in _SAME),
    *(MessagePair(f"messages: {name}", False, *texts) for name, *texts in _DIFFERENT),
]
