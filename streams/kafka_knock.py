"""Trying the brokers before a client does, which would retry for long and say little.

One connection tells what is wrong within seconds: address, TLS, certificate, SASL. The addresses
that brokers advertise are tried as well: it is to them that clients connect.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest

from streams.errors import UnavailableError
from streams.whole_numbers import whole_number

if TYPE_CHECKING:
    from streams.brokers import Brokers

__all__ = ["knock"]

_SECONDS: Final = 5.0
#: Advertised addresses that are tried; one that answers is enough.
_ADVERTISED: Final = 3
_LAST_PORT: Final = 2**16 - 1


def knock(brokers: Brokers) -> None:
    """Make sure that a broker answers and takes us.

    Raises
    ------
    ConfigError
        Certificates cannot be read.
    UnavailableError
        None does; the text says why, in one line.
    """
    options = brokers.for_aiokafka()
    servers = [_address(server) for server in options.pop("bootstrap_servers")]
    # In a thread of its own: callers may or may not be on an event loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _knock(brokers, servers, options)).result()


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    number = whole_number(port, largest=_LAST_PORT)
    if not host or not number:
        raise UnavailableError(
            f"{server!r} is no address of a broker; write host:port. Check --kafka or "
            "FENGHUO_KAFKA."
        )
    return host.strip("[]"), number


async def _knock(brokers: Brokers, servers: list[tuple[str, int]], options: dict[str, Any]) -> None:
    advertised = await _first(brokers, servers, options, "")
    await _first(brokers, advertised[:_ADVERTISED], options, " (advertised by the brokers)")


async def _first(
    brokers: Brokers, servers: list[tuple[str, int]], options: dict[str, Any], remark: str
) -> list[tuple[str, int]]:
    """Return the advertised addresses, as the first server that answers tells them."""
    problem = "no address is known"
    for host, port in servers:
        try:
            return await _ask(host, port, options)
        except (OSError, TimeoutError, EOFError, errors.KafkaError) as error:
            problem = await _explain(brokers, host, port, error)
            problem = problem.replace(f"{host}:{port}", f"{host}:{port}{remark}", 1)
    raise UnavailableError(problem)


async def _ask(host: str, port: int, options: dict[str, Any]) -> list[tuple[str, int]]:
    connection = AIOKafkaConnection(
        host, port, client_id="fenghuo", request_timeout_ms=int(_SECONDS * 1000), **options
    )
    try:
        async with asyncio.timeout(_SECONDS):
            await connection.connect()
            answer = await connection.send(MetadataRequest([]))
    except OSError:
        raise  # there is no connection that would have to be closed
    except BaseException:
        await _closed(connection)
        raise
    await _closed(connection)
    return [(broker[1], broker[2]) for broker in answer.brokers] or [(host, port)]


async def _closed(connection: AIOKafkaConnection) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(connection.close(), 1.0)


async def _explain(brokers: Brokers, host: str, port: int, error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        said = f"does not answer within {_SECONDS:g} s. Check --kafka or FENGHUO_KAFKA."
    elif found := _of_tls(error) or _of_sasl(brokers, error):
        said = found
    elif isinstance(error, OSError) and not isinstance(error, ConnectionResetError | ssl.SSLError):
        why = error.strerror or error
        return f"No Kafka broker answers at {host}:{port}: {why}. Check --kafka or FENGHUO_KAFKA."
    elif not brokers.tls and await _speaks_tls(host, port):
        said = "speaks TLS. Set FENGHUO_KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL."
    else:
        said = _of_closing(brokers, in_handshake=isinstance(error, OSError))
    return f"The Kafka broker at {host}:{port} {said}"


def _of_tls(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error)
    if not isinstance(error, ssl.SSLError) or _is_eof(error):
        return None
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "wrong version" in reason or "record layer" in reason:
        return "does not speak TLS. Set FENGHUO_KAFKA_SECURITY_PROTOCOL accordingly."
    return f"ends the TLS handshake: {reason}. Check FENGHUO_KAFKA_CERT_FILE."


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message.rstrip(".")
    if "expired" in said:
        return "has a certificate that has expired. Renew it there."
    if "mismatch" in said:
        return (
            f"has a certificate of another name: {said}. Use a name that it holds, here and in the "
            "broker's advertised.listeners."
        )
    return (
        f"has a certificate that no known authority signed: {said}. Name its authority in "
        "FENGHUO_KAFKA_CA_FILE."
    )


def _of_sasl(brokers: Brokers, error: BaseException) -> str | None:
    said = str(error.args[0] if error.args else error).rstrip(".")
    if isinstance(error, errors.UnsupportedSaslMechanismError):
        return f"does not take SASL {brokers.mechanism}. Check FENGHUO_KAFKA_SASL_MECHANISM."
    if isinstance(error, errors.IllegalSaslStateError):
        return "does not expect SASL there. Check FENGHUO_KAFKA_SECURITY_PROTOCOL."
    if isinstance(error, errors.SaslAuthenticationFailed | errors.AuthenticationFailedError):
        return (
            f"refuses {brokers.username or 'the token'}: {said}. Check FENGHUO_KAFKA_USERNAME and "
            "FENGHUO_KAFKA_PASSWORD, or the token's scope."
        )
    if "token endpoint" in said:
        return f"was reached, but no token was. {said.removeprefix('KafkaConnectionError: ')}."
    return None


def _of_closing(brokers: Brokers, *, in_handshake: bool) -> str:
    if brokers.tls and in_handshake:
        return (
            "breaks off the TLS handshake: it may not speak TLS. Check "
            "FENGHUO_KAFKA_SECURITY_PROTOCOL."
        )
    if brokers.protocol == "SSL":
        return (
            "closes the connection after the TLS handshake. It may ask for a client certificate: "
            "check FENGHUO_KAFKA_CERT_FILE; or for SASL: check FENGHUO_KAFKA_SECURITY_PROTOCOL."
        )
    return "closes the connection. Check FENGHUO_KAFKA_SECURITY_PROTOCOL: it may expect SASL."


def _is_eof(error: ssl.SSLError) -> bool:
    return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


async def _speaks_tls(host: str, port: int) -> bool:
    """Tell whether a port answers a TLS greeting; nothing is sent there but that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
