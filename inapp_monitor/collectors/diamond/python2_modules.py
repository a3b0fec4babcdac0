"""Modules under their names of Python 2 and of Diamond, for collectors only.

Nothing is put into `sys.modules`: a collector's imports are looked up here first, so that the app
and an installed Diamond never meet these modules. Commands and answers of servers are texts, as
they were in Python 2.
"""

from __future__ import annotations

import base64
import functools
import importlib
import io
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final

from inapp_monitor.collectors.diamond import contract, convertor

#: A command that a collector starts and waits for may run for so long.
COMMAND_LIMIT_S: Final = contract.COMMAND_LIMIT_S
#: An answer of a server is waited for so long, unless the collector gives a time.
ANSWER_LIMIT_S: Final = 10.0
_ERRORS: Final = "surrogateescape"


class TextPopen(subprocess.Popen[str]):
    """`subprocess.Popen` whose pipes are texts, and whose command ends in time."""

    def __init__(self, *given: Any, **named: Any) -> None:
        named.setdefault("errors", _ERRORS)
        super().__init__(*given, **named)

    def communicate(
        self,
        input: str | None = None,
        timeout: float | None = None,
    ) -> tuple[str, str]:
        """As the original; a command that does not end is killed."""
        try:
            return super().communicate(input, timeout or COMMAND_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            super().communicate()
            raise


def _check_output(*given: Any, **named: Any) -> str:
    named.setdefault("errors", _ERRORS)
    named.setdefault("timeout", COMMAND_LIMIT_S)
    return str(subprocess.check_output(*given, **named))  # noqa: S603


class TextSocket(socket.socket):
    """A socket that sends and receives texts, a character a byte."""

    def send(self, data: Any, *given: Any) -> int:
        return super().send(_as_bytes(data), *given)

    def sendall(self, data: Any, *given: Any) -> None:
        super().sendall(_as_bytes(data), *given)

    def recv(self, *given: Any) -> Any:
        return super().recv(*given).decode("latin-1")


def _as_bytes(data: Any) -> Any:
    return data.encode("latin-1", "replace") if isinstance(data, str) else data


def _text_connection(*given: Any, **named: Any) -> TextSocket:
    plain = socket.create_connection(*given, **named)
    made = TextSocket(plain.family, plain.type, plain.proto, plain.detach())
    made.settimeout(named.get("timeout", ANSWER_LIMIT_S))
    return made


class _TextAnswer:
    """An HTTP answer whose body is text."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._text: io.StringIO | None = None

    @property
    def _body(self) -> io.StringIO:
        if self._text is None:
            self._text = io.StringIO(self._answer.read().decode("utf-8", _ERRORS))
        return self._text

    def read(self, *given: Any) -> str:
        return self._body.read(*given)

    def readline(self, *given: Any) -> str:
        return self._body.readline(*given)

    def readlines(self, *given: Any) -> list[str]:
        return self._body.readlines(*given)

    def __iter__(self) -> Any:
        return iter(self._body)

    def getcode(self) -> Any:
        return self._answer.getcode()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)


class _TextRequest(urllib.request.Request):
    def __init__(self, url: str, data: Any = None, *given: Any, **named: Any) -> None:
        super().__init__(url, data.encode() if isinstance(data, str) else data, *given, **named)

    def add_data(self, data: Any) -> None:
        self.data = data.encode() if isinstance(data, str) else data


def _urlopen(url: Any, data: Any = None, timeout: float = ANSWER_LIMIT_S, **named: Any) -> Any:
    sent = data.encode() if isinstance(data, str) else data
    return _TextAnswer(urllib.request.urlopen(url, sent, timeout, **named))  # noqa: S310


def _module(name: str, *sources: Any, **members: Any) -> ModuleType:
    """A module with the public names of others."""
    module = ModuleType(name)
    for source in sources:
        module.__dict__.update({k: v for k, v in vars(source).items() if not k.startswith("__")})
    module.__dict__.update(members)
    return module


def _diamond(name: str) -> ModuleType:
    """Diamond's package, with what collectors import of it."""
    error = {"DiamondException": contract.DiamondException}
    parts = {
        "collector": _module("diamond.collector", contract),
        "metric": _module("diamond.metric", Metric=contract.Metric, **error),
        "convertor": _module("diamond.convertor", convertor),
        "error": _module("diamond.error", **error),
    }
    return _module(name, **parts)


def _text_subprocess(name: str) -> ModuleType:
    return _module(name, subprocess, Popen=TextPopen, check_output=_check_output)


def _text_sockets(name: str) -> ModuleType:
    return _module(name, socket, socket=TextSocket, create_connection=_text_connection)


def _urllib2(name: str) -> ModuleType:
    members = {"urlopen": _urlopen, "Request": _TextRequest, "quote": urllib.parse.quote}
    return _module(name, urllib.request, urllib.error, **members)


def _urllib(name: str) -> ModuleType:
    return _module(name, urllib.parse, urllib.request, urllib.error, urlopen=_urlopen)


def _strings(name: str) -> ModuleType:
    import string

    letters = string.ascii_letters
    joined = {"join": lambda words, by=" ": by.join(words), "maketrans": str.maketrans}
    return _module(name, string, letters=letters, lowercase=string.ascii_lowercase, **joined)


def _renamed(now: str) -> Callable[[str], ModuleType]:
    return lambda _name: importlib.import_module(now)


def _text_files(name: str) -> ModuleType:
    return _module(name, StringIO=io.StringIO)


def _simplejson(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        return importlib.import_module("json")


def _etree(name: str) -> ModuleType:
    elements = importlib.import_module("xml.etree.ElementTree")
    return _module(name, cElementTree=elements, ElementTree=elements)


def _base64(name: str) -> ModuleType:
    def encoded(text: str) -> str:
        return base64.encodebytes(text.encode()).decode()

    def decoded(text: str) -> str:
        return base64.decodebytes(text.encode()).decode("utf-8", _ERRORS)

    b64 = {"b64encode": lambda text: base64.b64encode(text.encode()).decode()}
    return _module(name, base64, encodestring=encoded, decodestring=decoded, **b64)


#: Name of Python 2 to what makes its module.
_MAKERS: Final[Mapping[str, Callable[[str], ModuleType]]] = {
    "diamond": _diamond,
    "socket": _text_sockets,
    "subprocess": _text_subprocess,
    "urllib2": _urllib2,
    "urllib": _urllib,
    "urlparse": _renamed("urllib.parse"),
    "httplib": _renamed("http.client"),
    "Queue": _renamed("queue"),
    "StringIO": _text_files,
    "cStringIO": _text_files,
    "cPickle": _renamed("pickle"),
    "ConfigParser": _renamed("configparser"),
    "commands": _renamed("subprocess"),
    "xmlrpclib": _renamed("xmlrpc.client"),
    "simplejson": _simplejson,
    "string": _strings,
    "cElementTree": _renamed("xml.etree.ElementTree"),
    "xml.etree": _etree,
    "base64": _base64,
    "xml.etree.cElementTree": _renamed("xml.etree.ElementTree"),
    "error": lambda name: _module(name, DiamondException=contract.DiamondException),
}


@functools.cache
def module_of(name: str) -> ModuleType | None:
    """The module of a name that Python 3 has not, or has with another meaning; else None."""
    first, _, rest = name.partition(".")
    if first == "diamond" and rest:
        found: Any = module_of("diamond")
        for part in rest.split("."):
            found = getattr(found, part, None)
        if not isinstance(found, ModuleType):
            raise ImportError(f"{name} is not part of what collectors get of Diamond")
        return found
    make = _MAKERS.get(name)
    return None if make is None else make(name)
