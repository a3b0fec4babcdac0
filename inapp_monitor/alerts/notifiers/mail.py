"""Mail by SMTP: text, HTML and a picture of the last values.

A message has an identity of its own (Message-ID made of the notice's key), and those of one problem
are a thread. What would break a header is made visible before it gets there.
"""

from __future__ import annotations

import hashlib
import re
import smtplib
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from email.utils import format_datetime

from inapp_monitor.alerts import picture, words
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.base import FailedError, RefusedError
from inapp_monitor.alerts.notifiers.deadline import Deadline
from inapp_monitor.alerts.notifiers.options import Options
from inapp_monitor.alerts.range import Range

_MAILBOX = re.compile(r"[^\s<>,;:@\"]{1,64}@[A-Za-z0-9.\-\[\]:]{1,190}", re.ASCII)
_PORTS = {"none": 25, "starttls": 587, "tls": 465}


@dataclass(frozen=True, slots=True)
class Mail:
    """Sends by one server."""

    host: str
    port: int
    security: str
    user: str
    password: str
    sender: str
    to: tuple[str, ...]
    timeout_s: float

    @classmethod
    def read(cls, options: Options) -> Mail:
        """From its table: `host`, `port`, `security`, `user`, `password`, `from`, `to`.

        Raises:
            ValueError: see `Options`.
        """
        security = options.one_of("security", ("starttls", "tls", "none"), "starttls")
        to, sender = options.texts("to"), options.text("from")
        for key, each in [("from", sender), *(("to", one) for one in to)]:
            if not _MAILBOX.fullmatch(each):
                raise options.error(key, "an address such as ops@example.org", each)
        user, password = options.text("user", ""), options.secret("password", "")
        if user and security == "none":
            raise options.error("security", "starttls or tls when there is a password", security)
        return cls(
            host=options.text("host"),
            port=options.integer("port", _PORTS[security], 1, 65_535),
            security=security,
            user=user,
            password=password,
            sender=sender,
            to=to,
            timeout_s=options.seconds("timeout", 10.0, 0.1, 60.0),
        )

    def send(self, notice: Notice) -> None:
        """See `base.Notifier`."""
        message = compose(notice, self.sender, self.to)
        try:
            with self._connected() as server:
                if self.user:
                    server.login(self.user, self.password)
                refused = server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise (RefusedError if min(codes) >= 500 else FailedError)(
                f"{self.host}: {error}"
            ) from None
        except smtplib.SMTPResponseException as error:
            permanent = 500 <= error.smtp_code < 600 and error.smtp_code != 535
            raise (RefusedError if permanent else FailedError)(f"{self.host}: {error}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise FailedError(f"{self.host}: {type(error).__name__}: {error}") from None
        if refused:
            raise RefusedError(f"{self.host} refused {', '.join(refused)}; the others were sent to")

    def _connected(self) -> smtplib.SMTP:
        deadline = Deadline(self.timeout_s)
        context = deadline.context() if self.security in ("tls", "starttls") else None
        server = _Connection(deadline, context if self.security == "tls" else None, self.timeout_s)
        server.connect_to(self.host, self.port)
        if self.security == "starttls":
            server.starttls(context=context)
        return server


class _Connection(smtplib.SMTP):
    """A dialogue that ends at its deadline.

    Args:
        deadline: When it must be over.
        context: Of a connection that is encrypted from its beginning.
        timeout_s: Of each step.
    """

    def __init__(
        self, deadline: Deadline, context: ssl.SSLContext | None, timeout_s: float
    ) -> None:
        # By itself smtplib asks for the own host's full name: with a DNS that hangs, too long.
        super().__init__(local_hostname=_own_name(), timeout=timeout_s)
        self._deadline, self._context = deadline, context

    def connect_to(self, host: str, port: int) -> None:
        """Connect, and read the greeting.

        Raises:
            OSError, smtplib.SMTPException: nobody is there, or refuses.
        """
        self._host = host  # `starttls` checks the certificate for it
        code, greeting = self.connect(host, port)
        if code != 220:
            self.close()
            raise smtplib.SMTPConnectError(code, greeting)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002
        made = self._deadline.connected(host, port)
        if self._context is None:
            return made
        return self._context.wrap_socket(made, server_hostname=host)


def _own_name() -> str:
    """What this host calls itself to a server; an address, which all accept, if not in full."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def compose(notice: Notice, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The mail of a notice."""
    message = EmailMessage()
    domain = sender.rpartition("@")[2] or "localhost"
    message["From"] = MailAddress(words.subject_name(notice), addr_spec=sender)
    message["To"] = ", ".join(to)
    message["Subject"] = words.subject(notice)
    message["Date"] = format_datetime(datetime.fromtimestamp(max(notice.at, 0), UTC))
    message["Message-ID"] = f"<{_digest(notice.key)}@{domain}>"
    thread = f"<{_digest(f'{notice.rule}/{notice.series}/{int(notice.since)}')}@{domain}>"
    message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(words.text(notice).encode("utf-8", "replace").decode())
    image = _picture(notice)
    name = f"chart.{_digest(notice.key)}@{domain}"
    page = words.markup(notice, f"cid:{name}" if image else "")
    message.add_alternative(page.encode("utf-8", "replace").decode(), subtype="html")
    if image:
        parts = message.get_payload()
        assert isinstance(parts, list)
        page_part = parts[1]
        assert isinstance(page_part, EmailMessage)
        page_part.add_related(image, "image", "png", cid=f"<{name}>", filename="chart.png")
    return message


def _picture(notice: Notice) -> bytes:
    if sum(value is not None for value in notice.values) < 2:
        return b""
    text = notice.critical or notice.warning
    limits = (float("-inf"), float("inf"))
    if text:
        found = Range.parse(text)
        limits = limits if found.inside else (found.start or limits[0], found.end)
    return picture.png(notice.values, limits)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
