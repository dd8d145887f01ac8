"""E-mail by SMTP: text and HTML in one message, one Message-ID for all attempts."""

from __future__ import annotations

import smtplib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from streams.errors import ConfigError
from streams.notify.channels.contract import SendError
from streams.notify.channels.threads import OneThread

if TYPE_CHECKING:
    from streams.notify.message import Message

__all__ = ["MailSender", "MailServer", "parse_mail_url"]

_PRIORITY: Final = {"critical": "1", "warning": "3", "info": "5"}


class MailServer(NamedTuple):
    """Where mail is handed in, and from whom to whom it goes."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    user: str | None
    password: str | None
    sender: str
    recipients: tuple[str, ...]


def parse_mail_url(url: str) -> MailServer:
    """Read ``smtp(s)://user:password@host:port/?from=A&to=B,C``.

    ``smtps`` begins with TLS, ``smtp`` changes to it (STARTTLS); ``&tls=none`` for a relay on the
    same machine.

    Raises
    ------
    ConfigError
        When something is missing.

    Examples
    --------
    >>> server = parse_mail_url("smtps://li:secret@mail.example.org/?from=f@x.org&to=a@x.org,b@x.org")
    >>> server.port, server.tls, server.recipients
    (465, 'implicit', ('a@x.org', 'b@x.org'))
    """
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    sender = options.pop("from", "")
    recipients = tuple(filter(None, (one.strip() for one in options.pop("to", "").split(","))))
    tls = options.pop("tls", "starttls")
    if not parts.hostname or options or tls not in {"starttls", "none"}:
        raise ConfigError(
            "The URL of the mail server is not understood. "
            "Write smtp://USER:PASSWORD@HOST:587/?from=A@B&to=C@D,E@F, with &tls=none for no TLS."
        )
    if wrong := [one for one in (sender, *recipients) if "@" not in parseaddr(one)[1]]:
        raise ConfigError(f"{wrong[0]!r} is no mail address. Mend from= and to= of the URL.")
    if not recipients:
        raise ConfigError("The mail goes to nobody. Add &to=ADDRESS to the URL.")
    implicit = parts.scheme == "smtps"
    return MailServer(
        host=parts.hostname,
        port=parts.port or (465 if implicit else 587 if tls == "starttls" else 25),
        tls="implicit" if implicit else "starttls" if tls == "starttls" else "none",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        sender=sender,
        recipients=recipients,
    )


class MailSender:
    """Sends mail; one message goes to all recipients."""

    def __init__(self, server: MailServer, *, short: bool, timeout: float) -> None:
        self._server = server
        self._short = short
        self._timeout = timeout
        self._thread = OneThread()

    @property
    def busy(self) -> bool:
        """Whether an earlier attempt has not ended yet."""
        return self._thread.busy

    async def send(self, message: Message) -> str | None:
        """Hand a mail in."""
        mail = self._write(message)
        try:
            refused = await self._thread.run(lambda: self._hand_in(mail))
        except (OSError, smtplib.SMTPException) as error:
            raise SendError(_reason(error)) from None
        if refused:
            return "not sent to " + "; ".join(
                f"{address} ({_answer(code, text)})" for address, (code, text) in refused.items()
            )
        return None

    async def close(self) -> None:
        """Nothing is held between mails."""

    def _write(self, message: Message) -> EmailMessage:
        domain = parseaddr(self._server.sender)[1].rpartition("@")[2]
        mail = EmailMessage(policy=SMTP)
        mail["Message-ID"] = f"<fenghuo.{message.key}@{domain}>"
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["From"] = self._server.sender
        mail["To"] = [_address(one) for one in self._server.recipients]
        mail["Subject"] = message.subject
        mail["X-Priority"] = _PRIORITY[message.severity]
        mail["Auto-Submitted"] = "auto-generated"
        mail["Content-Language"] = message.language
        mail.set_content(message.short if self._short else message.text)
        if not self._short:
            mail.add_alternative(message.html, subtype="html")
        return mail

    def _hand_in(self, mail: EmailMessage) -> dict[str, tuple[int, bytes]]:
        server = self._server
        context = ssl.create_default_context()
        smtp: smtplib.SMTP
        if server.tls == "implicit":
            smtp = smtplib.SMTP_SSL(
                server.host, server.port, timeout=self._timeout, context=context
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=self._timeout)
        with smtp:
            if server.tls == "starttls":
                smtp.starttls(context=context)
            if server.user:
                smtp.login(server.user, server.password or "")
            return smtp.send_message(mail)


def _address(text: str) -> Address:
    name, address = parseaddr(text)
    return Address(display_name=name, addr_spec=address)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "refused for all recipients: " + "; ".join(
            _answer(code, text) for code, text in error.recipients.values()
        )
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server answers {_answer(error.smtp_code, error.smtp_error)}"
    return f"{type(error).__name__}: {error}"


def _answer(code: int, text: bytes | str) -> str:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {said}".strip()
