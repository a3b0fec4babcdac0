"""Secrets in texts of particular shapes: parts of forms, addresses with tokens or passwords, names
that stand apart from their values, source code. Pure.

Each function looks for one shape and is given the lower-case text, so that most texts cost no more
than a few searches for words. Who decides which names hide a value is `scrub`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from inapp_monitor.issues.safe_text import HIDDEN

Hides = Callable[[str, str], bool]

#: The end of a line, also in a text that was printed with its escapes.
_LINE_END = r"(?:\r?\n|(?:\\+r)?\\+n)"
_FORM_PART = re.compile(
    rf"""form-data;(?P<head>(?:(?!{_LINE_END}{_LINE_END}).){{1,500}}?{_LINE_END}{_LINE_END})"""
    rf"""(?P<value>.*?)(?={_LINE_END}--|\Z)""",
    re.DOTALL | re.IGNORECASE,
)
_FORM_NAME = re.compile(r"""\b(?:file)?name\*?=\\*"?(?P<name>[^"\\;\r\n]+)""", re.IGNORECASE)
_KEY_FILE = re.compile(
    r"\bid_(?:rsa|dsa|ecdsa|ed25519)\b|\.(?:pem|key|p12|pfx|ppk|jks|keystore|kdbx|env)$",
    re.IGNORECASE,
)

#: What stands in a template for a value that comes later.
PLACEHOLDER = (
    r"\{\{[^{}\n]*\}\}|\{[^{}\n]*\}|%s|%r|%\(\w+\)[sr]|\$\{[^}\n]*\}|\$\w+|<[\w -]+>|\*+"
    r"|\[scrubbed\]"
)
#: A port is no password, and an `@` behind a path begins a name in it.
_URL_PASSWORD = re.compile(
    rf"(://[^/\s:@'\"<>]*:)(?!\d{{1,5}}(?:[/?#\s]|$))(?!(?:{PLACEHOLDER})@)"
    r"(?:(?!://|[?&][\w.-]{1,40}=)[^\s'\"<>])+(?<!/)(?=@[\w\[{$%])"
    r"|(://)(?=[^/\s:@'\"]*\d)[^/\s:@'\"]{20,}(?=@)"
)

#: One of these is in every text with a token in a path.
_PATH_MARKS = (
    *(
        "/bot",
        ":aa",
        "%3aaa",
        "/services/t",
        "hooks.slack",
        "webhook",
        "/hooks/",
        "/with/key/",
        "/t/",
        "token/",
    ),
    *("reset", "activat", "confirm", "verif", "invit", "unsubscri", "magic", "/secret", "/share"),
)
_BARE_MARKS = (":aa", "%3aaa")
#: Of a path with its token.
_SHORTEST_TOKEN = 20
_RANDOM = r"(?=[\w.~:-]*\d)(?=[\w.~:-]*[A-Za-z])[\w.~:-]"
_PATH_TOKENS = re.compile(
    r"(?P<kept>"
    r"/bot\d{5,12}(?::|%3A)|\b(?<![\d.:])\d{8,12}(?::|%3A)(?=AA)"  # Telegram
    r"|/services/T\w{5,}/B\w{5,}/|hooks\.slack(?:-gov)?\.com/\w+/(?:T\w+/(?:\w+/)*(?=\w{16})|)"
    r"|/webhooks/\d{5,}/(?=[\w-]{20})|/incomingwebhook/|/webhookb2/|/hooks/catch/\d+/"
    r"|/hooks/(?:[\w-]{1,40}/)?(?=[\w-]{20})|/with/key/"  # Mattermost, Rocket.Chat, IFTTT
    r")[\w@-]{8,}(?:/[\w@-]{16,})*",
    re.IGNORECASE,
)
#: A path whose part before says that the next one opens something: a link of a mail.
_PATH_LINKS = re.compile(
    r"(?P<kept>/(?:(?:[a-z]+[_-])?(?:tokens?|secrets?)|(?:password[_-]?)?reset(?:[_-]password)?"
    r"|activat(?:e|ion)|confirm(?:ation)?|verif(?:y|ication)|invit(?:e|ation)s?|unsubscribe"
    r"|magic(?:[_-]?link)?|share)/(?:[\w=-]{1,12}/)?)"
    rf"{_RANDOM}{{16,}}",
    re.IGNORECASE,
)

_NAME_KEYS = r"(?:name|key|field|header|param|parameter|variable|attribute|option|setting)"
_VALUE_KEYS = r"(?:value|val|content|input|default|secret_value|plaintext)"
_NAME_FIRST = re.compile(
    rf"""(?<![\w.-])(?P<q1>\\*["']|){_NAME_KEYS}(?P=q1)\s*[:=]\s*(?P<q2>\\*["']|)"""
    r"""(?P<name>[\w.\[\]-]{2,100})(?P=q2)(?P<between>[^{}<>()]{1,200}?)(?<![\w.-])"""
    rf"""(?P<quote>\\*["']|){_VALUE_KEYS}(?P=quote)(?P<mark>\s*[:=])\s*""",
    re.IGNORECASE,
)
_VALUE_FIRST = re.compile(
    rf"""(?<![\w.-])(?P<head>(?P<q1>\\*["']|){_VALUE_KEYS}(?P=q1)\s*[:=]\s*b?)(?P<q2>\\*["'])"""
    rf"""(?P<value>(?:(?!(?P=q2)).){{1,1000}})(?P=q2)(?P<tail>\s*,\s*(?P<q3>\\*["']|){_NAME_KEYS}"""
    r"""(?P=q3)\s*[:=]\s*(?P<q4>\\*["'])(?P<name>[\w.\[\]-]{2,100})(?P=q4))""",
    re.IGNORECASE,
)
_NAMED_ELEMENT = re.compile(
    rf"""(<[\w:-]+\s[^<>]{{0,200}}?\b{_NAME_KEYS}\s*=\s*(\\*["'])([\w.-]{{2,100}})\2[^<>]{{0,200}}>)"""
    r"""([^<>]+)(?=</)""",
    re.IGNORECASE,
)
_PLIST = re.compile(r"(<key>([\w. -]{2,100})</key>(?:\s|\\n)*<\w+>)([^<>]+)(?=</)", re.IGNORECASE)

_BIND_CALL = re.compile(
    r"""(\bsimple_bind(?:_s)?\(\s*(?:"[^"\n]*"|'[^'\n]*')\s*,\s*)(?:"[^"\n]*"|'[^'\n]*')"""
)
_CLIENT_OPTION = re.compile(
    r"""(\b(?:mysql|mariadb)\w*\b[^\n|;]{0,200}?[\s"']-p)(?![\s-])[^\s"'\\]+"""
)
#: Options that a password follows, or a user and a password.
_PASSWORD_OPTION = re.compile(
    r"""(\b(?:redis-cli\b[^\n|;]{0,200}?[\s"']-a|sshpass[\s"',]+-p)"""
    r"""(?:\s+|\\*["'],\s*)?\\*["']?)[^\s"'\\\[][^\s"'\\]*"""
)
_CURL_USER = re.compile(
    r"""(\bcurl\b[^\n|;]{0,200}?[\s"'](?:-u|--(?:proxy-)?user)(?:[\s=]+|\\*["'],\s*)\\*["']?"""
    r"""[^\s:"'\\]+:)[^\s"'\\\[][^\s"'\\]*"""
)


def has_any(words: Sequence[str], text: str) -> bool:
    """Whether one of some words is in a text; a loop is twice as fast as `any`."""
    for word in words:  # noqa: SIM110
        if word in text:
            return True
    return False


def hide_form_parts(text: str, lower: str, hides: Hides) -> str:
    """A text without the values of multipart fields and files whose name hides them."""
    if "form-data;" not in lower:
        return text
    return _FORM_PART.sub(lambda match: _without_part(match, hides), text)


def _without_part(match: re.Match[str], hides: Hides) -> str:
    for found in _FORM_NAME.finditer(match["head"]):
        if hides(found["name"], match["value"]) or _KEY_FILE.search(found["name"]):
            return f"form-data;{match['head']}{HIDDEN}"
    return match[0]


def hide_url_passwords(text: str) -> str:
    """A text without what stands between a user and a host, whatever signs are in it."""
    return _URL_PASSWORD.sub(rf"\1\2{HIDDEN}", text) if "://" in text and "@" in text else text


def hide_path_tokens(text: str, lower: str) -> str:
    """A text without tokens that are a part of a path: of bots, hooks and links in mails."""
    if len(text) < _SHORTEST_TOKEN:
        return text
    if not has_any(_PATH_MARKS if "/" in text else _BARE_MARKS, lower):
        return text
    text = _PATH_TOKENS.sub(rf"\g<kept>{HIDDEN}", text)
    return _PATH_LINKS.sub(rf"\g<kept>{HIDDEN}", text)


def hide_apart(text: str, lower: str, hides: Hides, value: re.Pattern[str]) -> str:
    """A text without the values of pairs such as `{"name": "password", "value": "..."}`."""
    words = ("</", "val", "content", "input", "default", "plaintext")
    if not has_any(words, lower):
        return text
    pieces, end = [], 0
    for match in _NAME_FIRST.finditer(text):
        found = value.match(text, match.end())
        if match.start() >= end and found is not None and hides(match["name"], _bare(found[0])):
            pieces += [text[end : match.end()], HIDDEN]
            end = found.end()
    text = "".join([*pieces, text[end:]])
    text = _VALUE_FIRST.sub(lambda match: _without_value(match, hides), text)
    if "</" in text:
        text = _NAMED_ELEMENT.sub(lambda match: _without_content(match, match[3], hides), text)
        text = _PLIST.sub(lambda match: _without_content(match, match[2], hides), text)
    return text


def _without_content(match: re.Match[str], name: str, hides: Hides) -> str:
    return f"{match[1]}{HIDDEN}" if hides(name, match[match.re.groups]) else match[0]


def _bare(value: str) -> str:
    return value.strip("\\\"'")


def _without_value(match: re.Match[str], hides: Hides) -> str:
    if not hides(match["name"], match["value"]):
        return match[0]
    return f"{match['head']}{match['q2']}{HIDDEN}{match['q2']}{match['tail']}"


def hide_arguments(text: str, lower: str) -> str:
    """A text without the passwords that commands and calls take by position."""
    if "simple_bind" in text:
        text = _BIND_CALL.sub(rf"\1{HIDDEN}", text)
    if "-p" in text and ("mysql" in lower or "mariadb" in lower):
        text = _CLIENT_OPTION.sub(rf"\1{HIDDEN}", text)
    if "redis-cli" in text or "sshpass" in text:
        text = _PASSWORD_OPTION.sub(rf"\1{HIDDEN}", text)
    if "curl" in text:
        text = _CURL_USER.sub(rf"\1{HIDDEN}", text)
    return text


#: Keys of a dictionary whose items name and hold one value.
_KEYS_OF_NAME = (
    *("name", "key", "field", "header", "param", "parameter", "variable", "attribute", "option"),
)
_KEYS_OF_VALUE = ("value", "val", "content", "input", "default", "plaintext")


def key_of_secret(data: dict[Any, Any], hides: Hides) -> str | None:
    """The key of a dictionary's value whose name is under another key; None when there is none."""
    if not 2 <= len(data) <= 20:
        return None
    lower = {key.lower(): key for key in data if type(key) is str}
    at = next((lower[key] for key in _KEYS_OF_VALUE if key in lower), None)
    if at is None or type(data[at]) is bool or not data[at]:
        return None
    shown = data[at] if isinstance(data[at], str) else ""
    for key in _KEYS_OF_NAME:
        name = data.get(lower.get(key, ""))
        if isinstance(name, str) and hides(name[:100], str(shown)):
            return at
    return None
