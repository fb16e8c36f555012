"""Calls of a service: repeated after lost connections, and failures without secrets."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from hybridopt._secrets import without_secrets
from hybridopt.errors import ExecutionError

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between attempts
LOST = (ConnectionError, TimeoutError, socket.gaierror)
# errors of the packages that speak to services, known by their names, as they are not imported
LOST_NAMES = {
    "ChunkedEncodingError", "ConnectTimeout", "ConnectTimeoutError", "ConnectionError",
    "MaxRetryError", "NewConnectionError", "ProtocolError", "ProxyError", "ReadTimeout",
    "ReadTimeoutError", "SSLError", "Timeout",
}  # fmt: skip
PACKAGES = {"requests", "urllib3", "httpx", "aiohttp", "websocket"}
BUSY = {-1, 408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 524}  # status codes; -1: no answer
Value = TypeVar("Value")


def is_lost(error: BaseException) -> bool:
    """Return whether an error, or one that caused it, is a lost connection or a busy service."""
    return any(
        isinstance(one, LOST)
        or (type(one).__name__ in LOST_NAMES and type(one).__module__.split(".")[0] in PACKAGES)
        or getattr(one, "status_code", None) in BUSY
        for one in _causes(error)
    )


def repeated(call: Callable[[], Value], what: str, secrets: Iterable[str] | None) -> Value:
    """Return the value of a call, repeated after lost connections only.

    Args:
        call: Call of the service.
        what: Description of the call.
        secrets: Texts that are hidden in messages; None for a local call. Its error is the cause of
            ours, which a traceback shows.

    Raises:
        ExecutionError: If the call fails, or the connection is lost too often.
    """
    failure: Exception | None = None
    for pause in (*PAUSES, None):
        try:
            return call()
        except ExecutionError:
            raise
        except Exception as error:  # noqa: BLE001 raised below, without secrets
            failure = error
            if pause is None or not is_lost(error):
                break
            time.sleep(pause)
    assert failure is not None
    times = len(PAUSES) + 1
    lost = f" The connection was lost {times} times." if is_lost(failure) else ""
    # raised outside of the handler, because tracebacks show the messages of causes
    cause = failure if secrets is None else None
    raise ExecutionError(f"{what} failed.{lost} {described(failure, secrets or ())}") from cause


def described(error: BaseException, secrets: Iterable[str]) -> str:
    """Return class and message of an error without secrets."""
    return f"{type(error).__name__}: {without_secrets(str(error).strip(), secrets)}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
