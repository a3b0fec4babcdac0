"""Secrets out of events: by the name a value stands under and by what it looks like. Pure.

Names are compared by substring, as Django and the newer Sentry clients do, because exact names
(`password`) miss `my_password` and `DB_PASSWD`. Values are searched with one pass of patterns over
every text: messages, headers, local variables and source lines included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.issues import bound_values, secret_shapes
from inapp_monitor.issues.safe_text import HIDDEN
from inapp_monitor.issues.secret_shapes import PLACEHOLDER, has_any

#: Substrings of names (lower case, `_` between words) that hide a value.
_NAMES = (
    r"auth(?!ors?(?:_|$)|ority|ored)|token|secret|passw|passphrase|passcode|pwd|credential|jwt|bearer|csrf|xsrf|cookie"
    r"|session|sessid|signature|saml|otp_|_otp|private|cvv|cvc2?|card_?n|iban|api_?key"
    r"|(?:^|_)(?:pass|pw|sid|sso|ssn|pin|otp|mfa|identity|salt)(?:_|$)|(?:bind|root)_?pw"
    r"|hmac|(?:^|_)key_?(?:id|data|pem|material)|connect_sid|e_verifier|[a-z0-9]_?keys?$"
)
#: Names that end in `key` and are none.
_HARMLESS = frozenset(
    [
        *("primary_key", "foreign_key", "natural_key", "unique_key", "object_key", "partition_key"),
        *("cache_key", "sort_key", "group_key", "dict_key", "hash_key", "missing_key"),
        *("primary_keys", "foreign_keys", "cache_keys", "sort_keys", "monkey", "turkey", "hotkey"),
    ]
)
#: A variable called `key` is most often a dictionary's; one with a random text is not.
_DEPENDING = frozenset(["key", "keys", "code", "nonce", "sig", "remember_me"])
#: The same for parameters of a query string, where they open something.
_DEPENDING_IN_QUERY = frozenset(
    [
        *("reset", "state", "ticket", "invite", "invitation", "confirm", "confirmation", "verify"),
        *("verification", "activate", "activation", "recovery", "unsubscribe", "magic", "link"),
        *("hash", "assertion", "oauth_verifier", "code_verifier", "code_challenge", "sign", "mac"),
    ]
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\W_]+")
_LETTERS_AND_DIGITS = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[\"']?[\w.~+/=$!-]{6,}[\"']?$")
#: Percent-encoded signs that may stand before a name.
_ESCAPES = frozenset(["3f", "26", "5b", "20", "22"])
_RANDOM_LOOKING = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])\S{12,}")

#: Words that announce a secret inside a text; looked for before the slower patterns run.
_WORDS = (
    *("passw", "passphrase", "passcode", "pwd", "secret", "token", "apikey", "api_key", "api-key"),
    *("access_key", "access-key", "accesskey", "private_key", "private-key", "privatekey"),
    *("credential", "authorization", "csrf", "sessionid", "session_id", "session-id"),
    *("signature", "cvv"),
)
#: One of these is in every statement that names columns.
_SQL = ("insert", "update ", "select ", "delete ", "replace into", "merge ")
#: One of these is in what databases say of a key's values.
_REFUSED = (")=(", "duplicate entry")
#: One of these is in every name that hides a value; looked for before the search for names runs.
_NAME_PARTS = (
    *("auth", "token", "secret", "pass", "pwd", "pw", "credential", "jwt", "bearer", "srf"),
    *("cookie", "sess", "sign", "saml", "otp", "private", "cvv", "cvc", "card", "iban", "key"),
    *("sid", "hmac", "sso", "ssn", "pin", "mfa", "identity"),
    *("salt", "sig", "nonce", "code", "remember", "identified"),
)
#: Where a name begins; `\\n` in a printed text is no part of it.
_BEGIN = r"(?:(?<![\w.\\-])|(?<=\\[nrt])|(?<=\\)(?![nrt]))"
#: A name and what stands before its value, which is looked at only when the name hides it: in
#: assignments, JSON (also inside JSON), forms, headers.
_NAMED = re.compile(
    rf"""{_BEGIN}(?P<name>[\w.-]++)(?P<quote>\\*["']|%22)?(?:\]|%5D)?\s*+"""
    r"""(?P<mark>=>|:=|[:=]|%3D|%3A)(?:\s|\\[nrt]|%22|%20)*+(?:[|>][-+]?(?:\s|\\n)++)?""",
    re.IGNORECASE,
)
#: The same in pairs such as `('x-api-key', '...')` and in options such as `--password ...`.
_PAIRED = re.compile(
    r"""[(\[]b?(?P<quote>\\*["'])(?P<name>[\w-]++)(?P=quote),(?P<mark>\s*+)(?=b?\\*["'])"""
)
_OPTION = re.compile(
    r"""(?<![\w-])--?(?P<name>[a-z][\w-]++)(?P<quote>\\*["'],)?(?P<mark>\s++)(?!-)"""
)
_VALUE = re.compile(
    r"""[bfru]{0,2}(?P<quote>\\*["'])(?:(?<!\\)(?P=quote)(?P=quote)(?=[\w ])|.)*?"""
    r"""(?:(?<!\\)(?P=quote)(?!(?P=quote)[\w ])|\Z)"""
    r"""|\{(?:[^{}]++|\{[^{}]*+\}?)*+\}?|\[(?:[^\[\]]++|\[[^\[\]]*+\]?)*+\]?|\([^()]*+\)?"""
    r"""|(?:(?!\\[nrt])[^\s,;&)}\]"'<>%])+""",
    re.DOTALL,
)
#: Values that show only whether there is a secret.
_NO_SECRET = frozenset(["none", "null", "true", "false", "0", "1", "", HIDDEN])
#: Headers in the middle of a text: their values have spaces, semicolons and names of their own.
_HEADER_LINE = re.compile(
    rf"""{_BEGIN}((?:(?:proxy-)?authorization|(?:set-)?cookie2?)\s*:\s*)"""
    r"""(?!\[scrubbed\])((?!\\[nr])[^\s"'\[{(])(?:(?!\\[nr])[^\n\r"'])*""",
    re.IGNORECASE,
)
_ELEMENT = re.compile(
    r"""(<(?:[\w-]+:)?([\w.-]{2,80})(?:\s[^<>]*)?>)"""
    r"""((?:<!\[CDATA\[(?:(?!\]\]>).){0,2000}\]\]>|[^<>]++)++)(?=</)""",
    re.DOTALL,
)
#: A secret after a word, without a sign in between.
_SPOKEN = re.compile(
    r"""\b((?P<sure>passw(?:or)?d|passphrase|pwd|identified\s+(?:with\s+\S+\s+)?by)"""
    r"""|token|secret|api[ _-]?key)"""
    r"""(\s+(?:(?:is|was|provided|given)\b:?\s*)?)(?P<quoted>'[^'\n]+'|"[^"\n]+")?"""
    r"""(?P<bare>(?<=\s)[^\s"',;)\]}<>]{6,})?""",
    re.IGNORECASE,
)
_ENCODED_PASSWORD = re.compile(r"(%3A%2F%2F[^%\s]*%3A)[^%\s]+(?=%40)", re.IGNORECASE)
_USER_OPTION = re.compile(r"""((?<!\S)-u\s+\\*["']?[^\s:"']+:)[^\s"'\\]+""")
#: What one of the tokens below begins with.
_MARKS = (
    *("-----BEGIN ", "eyJ", "AKIA", "ASIA", "AGPA", "AROA", "ghp_", "gho_", "ghu_", "ghs_"),
    *("ghr_", "github_pat_", "glpat-", "npm_", "pypi-", "xox", "k_live_", "k_test_", "whsec_"),
    *("sk-", "AIza", "ya29.", "SG.", "dop_v1_", "hf_", "hvs.", "AGE-SECRET-KEY-"),
)
#: Tokens by their look; each alternative is a whole secret.
_TOKENS = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|\beyJ[\w-]{8,}(?:\.[\w-]*)*"
    r"|\b(?:AKIA|ASIA|AGPA|AROA)[0-9A-Z]{12,}\b"
    r"|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|\bnpm_\w{20,}|\bpypi-[\w-]{16,}"
    r"|\bxox[abeoprs]-[\w-]{10,}|\b[rs]k_(?:live|test)_\w{8,}|\bwhsec_\w{8,}|\bsk-[\w-]{16,}"
    r"|\bAIza[\w-]{30,}|\bya29\.[\w-]{16,}|\bSG\.[\w-]{8,}\.[\w-]{8,}|\bdop_v1_\w{16,}"
    r"|\bhf_\w{20,}|\bhvs\.[\w-]{16,}|\bAGE-SECRET-KEY-\w+",
    re.DOTALL,
)
_SCHEMES = re.compile(
    r"""\b(Bearer|Basic|Digest|Negotiate)(\s+)(?:(?<=t )(?!realm)(?:[\w-]+=\\*"[^"\n]*"\s*,\s*)+"""
    r"""[\w-]+=(?:\\*"[^"\n]*"|[\w.-]+)|[\w.~+/=-]{6,})""",
    re.IGNORECASE,
)
_SCHEME_WORDS = ("bearer", "basic", "digest", "negotiate")
#: In source code: a name with a literal as its value, also in pairs; and any literal.
_ASSIGNED_LITERAL = re.compile(
    r"""(?P<name>[\w.-]++)(?P<head>["']?\]?[^\S\n]*(?::=|=>|[!=]=|[:=]|(?<=["']),)[^\S\n]*"""
    r"""[bfruBFRU]{0,2})(?P<value>"(?!"")[^"\n]*"|'(?!'')[^'\n]*')"""
)
_LITERAL = re.compile(
    r"""(?P<quote>\"\"\"|'''|["'])(?P<text>(?:\\.|(?!(?P=quote)).)*+)(?P=quote)""", re.DOTALL
)
_PLACEHOLDERS = re.compile(rf"(?:(?:Bearer|Basic|Token) )?(?:{PLACEHOLDER})+(?!\w)", re.IGNORECASE)
_HAS_PLACEHOLDER = re.compile(PLACEHOLDER)
#: A pair of a query string inside a text; its name may be percent-encoded.
_URL_PAIR = re.compile(r"""((?:^|[?&'"]))([^=&?\s"'#]{1,100})=([^&\s"'#]+)""")
#: Inside of a key whose first line is not in sight.
_BASE64_LINE = re.compile(r"^[ \t]*[A-Za-z0-9+/=]{60,}[ \t]*$", re.MULTILINE)
#: Names (as `_NAMES`) of environ keys, headers and attributes that hold the client's address.
_ADDRESS_NAMES = (
    r"(?:^|_)remote_?(?:addr|addresses|address|host|port|ip)$"
    r"|(?:^|_)forwarded(?:_for)?(?:_ip)?$|(?:^|_)proxied_for$"
    r"|(?:^|_)(?:client|real|connecting|cluster_client|user|proxyuser|originating|socket|src|peer)"
    r"_?(?:ip(?:v[46])?|addr|address|port)$"
    r"|^http_client_|(?:^|_)envoy_external_address$|pseudo_ipv4$|nf_client_connection_ip$"
    r"|^access_route$|^peer_?name$|^remote$|^addr$"
)
#: The same in the middle of a text, such as a printed environ.
_ADDRESS_WORD = (
    r"(?:remote[_-](?:addr|host|port|ip)|(?:forwarded|proxied)[_-]for"
    r"|(?:client|real|connecting|user|proxyuser|originating|socket|src)[_-]?ip(?:v[46])?"
    r"|envoy[_-]external[_-]address|pseudo[_-]ipv4"
    r"|forwarded(?=[^\w\n]{1,8}b?[^\w\n]{0,4}(?:for|by|host|proto)=))"
)
#: One of these is in every text that the word above matches.
_ADDRESS_WORDS = (
    *("remote", "forwarded", "proxied", "external", "_ip", "-ip", "clientip", "realip", "userip"),
    *("connectingip", "originatingip", "socketip", "srcip"),
)
_ADDRESS_QUOTED = re.compile(
    rf"""({_ADDRESS_WORD}\\*["']?\s*(?:=>|[:=,])\s*b?(\\*["']))(?!\[scrubbed\]).*?(?=\2|$)""",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESS_BARE = re.compile(
    rf"""({_ADDRESS_WORD}\\*["']?\s*(?:=>|[:=])\s*)(?!\[scrubbed\])[^\s,"'\\(){{}}<>&]+"""
    r"""(?:,\s*(?:for=)?"?\[?[0-9a-f]*[.:][0-9a-f.:]+\]?"?)*""",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?<!\d)(?<!\d\.)(?:\d[ -]?){12,18}\d(?!\.?\d)")


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return _SEPARATORS.sub("_", _CAMEL.sub("_", name)).strip("_").lower()


class Scrubber:
    """Hides secrets by the built-in rules and the user's own.

    Args:
        names: Further substrings of names, any case.
        patterns: Further regular expressions of values.
        hide_addresses: Whether the client's address is hidden as well.

    Raises:
        ConfigError: a pattern is no regular expression.
    """

    def __init__(
        self,
        names: Sequence[str] = (),
        patterns: Sequence[str] = (),
        *,
        hide_addresses: bool = False,
    ) -> None:
        own = "".join(f"|{re.escape(_plain(name))}" for name in names if _plain(name))
        addresses = f"|{_ADDRESS_NAMES}" if hide_addresses else ""
        self._names = re.compile(_NAMES + addresses + own)
        self._hide_addresses = hide_addresses
        self._own_names = tuple(_plain(name) for name in names if _plain(name))
        address_parts = _ADDRESS_WORDS if hide_addresses else ()
        self._name_parts = (*_NAME_PARTS, *self._own_names, *address_parts)
        try:
            self._patterns = [re.compile(pattern) for pattern in patterns]
        except re.error as error:
            raise ConfigError(f"setting 'scrub_patterns': {error}") from None
        self._decision = lru_cache(maxsize=4096)(self._decide)
        self._source = lru_cache(maxsize=256)(self._hide_in_source)  # the same lines each time

    def _decide(self, name: str) -> bool | None:
        """Whether a name hides; None when it depends on the value."""
        plain = _plain(name)
        if any(own in plain for own in self._own_names):
            return True
        if plain in _DEPENDING:
            return None
        return plain not in _HARMLESS and self._names.search(plain) is not None

    def hides(self, name: str, value: object = None) -> bool:
        """Whether the value under a name is a secret; booleans never are."""
        hidden = self._decision(name)
        if hidden is None:
            return type(value) is str and _RANDOM_LOOKING.match(value) is not None
        return hidden and type(value) is not bool

    def may_name_secrets(self, text: str) -> bool:
        """Whether a name that hides a value can be in a text; quick."""
        return has_any(self._name_parts, text.lower())

    def text(self, text: str) -> str:
        """A text with every secret in it replaced."""
        if len(text) < 6:
            return text
        lower = text.lower()
        text = self._looks(text, lower)
        text = secret_shapes.hide_form_parts(text, lower, self.hides)
        if self._hide_addresses and has_any(_ADDRESS_WORDS, lower):
            text = _ADDRESS_QUOTED.sub(rf"\g<1>{HIDDEN}", text)
            text = _ADDRESS_BARE.sub(rf"\g<1>{HIDDEN}", text)
        if "failing row" in lower:
            text = bound_values.hide_refused_row(text)
        if has_any(self._name_parts, lower):
            text = self._named(text, lower)
        if "=" in text and ("&" in text or "?" in text):
            text = _URL_PAIR.sub(self._hide_pair, text)
        return text

    def _named(self, text: str, lower: str) -> str:
        """A text without the values whose name is in it."""
        if has_any(_SQL, lower):
            text = bound_values.hide_in_text(text, self.hides)
        if has_any(_REFUSED, lower):
            text = bound_values.hide_refused(text, self.hides)
        text = secret_shapes.hide_apart(text, lower, self.hides, _VALUE)
        text = _HEADER_LINE.sub(rf"\1{HIDDEN}", text)
        if "=" in text or ":" in text or "%3" in text:
            text = self._hide_values(_NAMED, text)
        if "'," in text or '",' in text:
            text = self._hide_values(_PAIRED, text)
        if "--" in text:
            text = self._hide_values(_OPTION, text)
        if "</" in text:
            text = _ELEMENT.sub(self._hide_element, text)
        return _SPOKEN.sub(_hide_spoken, text)

    def _hide_values(
        self, pattern: re.Pattern[str], text: str, keep: re.Pattern[str] | None = None
    ) -> str:
        """Hide what stands after the names that a pattern finds, when they hide something."""
        pieces: list[str] = []
        end = 0
        for match in pattern.finditer(text):
            name = match["name"]
            if match.start() < end:
                continue  # inside of what is hidden already
            if match["mark"] == ":" and not match["quote"] and not has_any(_WORDS, name.lower()):
                continue  # a colon in a sentence
            if name[:2].lower() in _ESCAPES and text[match.start() - 1 : match.start()] == "%":
                name = name[2:]
            if self._decision(name) is False:
                continue
            value = _VALUE.match(text, match.end())
            bare = "" if value is None else value[0].strip("\\\"'")
            if value is None or bare.lower() in _NO_SECRET or not self.hides(name, bare):
                continue
            if keep is not None and keep.match(text, match.end()) is not None:
                continue
            pieces += [text[end : match.end()], HIDDEN]
            end = value.end()
        return "".join([*pieces, text[end:]]) if pieces else text

    def _hide_element(self, match: re.Match[str]) -> str:
        return f"{match[1]}{HIDDEN}" if self.hides(match[2], match[3]) else match[0]

    def source(self, lines: Sequence[str]) -> list[str]:
        """Lines of source code; only literals are hidden, `token = token` stays readable.

        The number of lines stays the same, also where a secret spans several.
        """
        return self._source("\n".join(lines)).split("\n")

    def _hide_in_source(self, source: str) -> str:
        lower = source.lower()
        source = self._looks(source, lower)
        if has_any(self._name_parts, lower):
            source = _LITERAL.sub(self._hide_in_literal, source)
            source = _ASSIGNED_LITERAL.sub(self._hide_literal, source)
        return _BASE64_LINE.sub(HIDDEN, source)

    def _hide_literal(self, match: re.Match[str]) -> str:
        value = match["value"][1:-1]
        if value.lower() in _NO_SECRET or not self.hides(match["name"], value):
            return match[0]
        return f'{match["name"]}{match["head"]}"{HIDDEN}"'

    def _hide_in_literal(self, match: re.Match[str]) -> str:
        """A literal without the secrets in its text; what is filled in later is none."""
        text = match["text"]
        if len(text) < 6 or not ("=" in text or ":" in text or " " in text):
            return match[0]
        if not self.may_name_secrets(text):
            return match[0]
        hidden = _HEADER_LINE.sub(_hide_header_in_source, text)
        hidden = self._hide_values(_NAMED, hidden, keep=_PLACEHOLDERS)
        if not _HAS_PLACEHOLDER.search(hidden):
            hidden = _SPOKEN.sub(_hide_spoken, hidden)
        lines = "\n" * (text.count("\n") - hidden.count("\n"))
        return f"{match['quote']}{hidden}{lines}{match['quote']}"

    def query(self, query: str) -> str:
        """A query string or form body: values under secret names, and what looks like one."""
        if not query:
            return query
        pairs = []
        for pair in query.split("&"):
            name, equals, value = pair.partition("=")
            plain = unquote_plus(value)
            if (
                equals
                and value
                and (self._hides_in_query(unquote_plus(name), plain) or self.text(plain) != plain)
            ):
                pairs.append(f"{name}={HIDDEN}")
            else:
                pairs.append(self._looks(pair, pair.lower()))
        return "&".join(pairs)

    def _hide_pair(self, match: re.Match[str]) -> str:
        start, name, value = match.groups()
        if value.startswith(HIDDEN):
            return f"{start}{name}={HIDDEN}" if value.startswith(f"{HIDDEN}%") else match[0]
        if not self._hides_in_query(unquote_plus(name), unquote_plus(value)):
            return match[0]
        return f"{start}{name}={HIDDEN}"

    def _hides_in_query(self, name: str, value: str) -> bool:
        if self.hides(name, value):
            return True
        plain = _plain(name)
        if plain == "sig":
            return len(value) >= 6
        return plain in _DEPENDING_IN_QUERY and _RANDOM_LOOKING.match(value) is not None

    def tree(self, value: Any, text: Callable[[str], str] | None = None) -> Any:
        """A copy of JSON-like data with the secrets replaced, at any depth."""
        text = text or self.text
        if isinstance(value, str):
            return text(value)
        if isinstance(value, dict):
            apart = secret_shapes.key_of_secret(value, self.hides)
            return {
                key: (
                    HIDDEN
                    if item and isinstance(key, str) and (key == apart or self.hides(key, item))
                    else self.tree(item, text)
                )
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            if len(value) == 2 and isinstance(value[0], str) and self.hides(value[0], value[1]):
                return [value[0], HIDDEN]  # a pair, such as a header
            return [self.tree(item, text) for item in value]
        return value

    def _looks(self, text: str, lower: str) -> str:
        """What looks like a secret, whatever its name; `lower` is the text in lower case."""
        if has_any(_MARKS, text):
            text = _TOKENS.sub(_hide_token, text)
        if has_any(_SCHEME_WORDS, lower):
            text = _SCHEMES.sub(rf"\1\2{HIDDEN}", text)
        text = secret_shapes.hide_url_passwords(text)
        text = secret_shapes.hide_path_tokens(text, lower)
        text = secret_shapes.hide_arguments(text, lower)
        if "%40" in text:
            text = _ENCODED_PASSWORD.sub(rf"\1{HIDDEN}", text)
        if "-u " in text:
            text = _USER_OPTION.sub(rf"\1{HIDDEN}", text)
        text = _CARD.sub(_hide_card, text)
        for pattern in self._patterns:
            text = pattern.sub(HIDDEN, text)
        return text


def _hide_header_in_source(match: re.Match[str]) -> str:
    return match[0] if _HAS_PLACEHOLDER.search(match[0]) else f"{match[1]}{HIDDEN}"


def _hide_spoken(match: re.Match[str]) -> str:
    """Quoted after `password`, or a single word that no sentence has."""
    value = match["quoted"] or match["bare"]
    if value is None or value.startswith(HIDDEN):
        return match[0]
    if not (match["sure"] and match["quoted"]) and not _LETTERS_AND_DIGITS.match(value):
        return match[0]
    return f"{match[1]}{match[3]}{HIDDEN}"


def _hide_token(match: re.Match[str]) -> str:
    return HIDDEN + "\n" * match[0].count("\n")


def _hide_card(match: re.Match[str]) -> str:
    digits = [int(character) for character in match[0] if character.isdigit()]
    odd, even = digits[-1::-2], digits[-2::-2]
    total = sum(odd) + sum(sum(divmod(2 * digit, 10)) for digit in even)
    return HIDDEN if total % 10 == 0 and digits[0] in (2, 3, 4, 5, 6) else match[0]
