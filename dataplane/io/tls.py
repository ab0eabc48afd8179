"""TLS for servers: contexts by server name; and the stream that speaks it, in either role.

TLS runs over memory buffers, so an encrypted connection uses the same socket driver as a plain one.
"""

import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gevent.monkey import get_original

from dataplane.io.stream import SocketStream

_SystemContext: Any = get_original("ssl", "SSLContext")


class TlsStream:
    """TLS upon a SocketStream: as the server, or as the client of `server_name`."""

    __slots__ = ("_ahead", "_below", "_incoming", "_is_client", "_object", "_outgoing")

    def __init__(
        self,
        below: SocketStream,
        context: ssl.SSLContext,
        server_name: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._below = below
        self._is_client = server_name is not None
        self._ahead = b""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, not self._is_client, server_hostname=server_name, session=session
        )

    def begin_with(self, data: bytes) -> None:
        """Take what has been read of the connection before the handshake."""
        self._incoming.write(data)

    def handshake(self) -> None:
        """Shake hands; raises ssl.SSLError (an OSError) when the peer can't agree."""
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
                continue
            except ssl.SSLError:
                self._flush()  # the alert, so that the peer learns why
                raise
            self._flush()
            return

    def read(self) -> bytes:
        """The next decrypted bytes."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        while True:
            try:
                data = self._object.read(65536)
                return self._with_more(data) if data and self._incoming.pending else data
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLEOFError as error:
                if self._is_client:  # whoever cuts the wire must not make a part look whole (RFC 9112 9.8)
                    raise ConnectionAbortedError("TLS was cut off: no close_notify") from error
                return b""

    def take(self) -> bytes:
        """What lies there, decrypted, without waiting."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        self._incoming.write(self._below.take())
        try:
            return self._object.read(65536)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def hears_nothing(self) -> bool:
        """Whether what has arrived, if anything, is TLS' own affair (tickets, keys): no data, no end."""
        if self._below.is_silent and not self._incoming.pending and not self._object.pending():
            return True
        try:
            data = self._below.take()
            self._incoming.write(data)
            self._object.read(1)
        except ssl.SSLWantReadError:
            return bool(data) or self._below.is_silent
        except OSError:
            return False
        return False

    @property
    def session(self) -> ssl.SSLSession | None:
        """What resumes this session; of TLS 1.3 there is something once the server has said it."""
        return self._object.session

    @property
    def resumed(self) -> bool:
        """Whether the handshake has resumed a session, so that no certificate was looked at."""
        return bool(self._object.session_reused)

    def write(self, data: bytes) -> None:
        """Encrypt and send."""
        self._object.write(data)
        self._flush()

    def post(self, data: bytes) -> bool:
        """Encrypt, send what can go at once, and keep the rest."""
        self._object.write(data)
        return self._below.post(self._outgoing.read())

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken yet."""
        return self._below.unsent

    def settle(self) -> None:
        """Wait until the peer has taken all."""
        self._below.settle()

    def rest(self, notice: Callable[[bool], object]) -> None:
        """Have what comes noticed, TLS' own affairs too."""
        self._below.rest(notice)

    def stir(self) -> None:
        """The end of a rest."""
        self._below.stir()

    def has_left(self) -> bool:
        """Whether it has closed its side; what comes before that is kept for the reader."""
        if self._ahead:
            return self._below.has_left()
        if self._below.has_left():
            return True
        self._incoming.write(self._below.take())
        try:
            self._ahead = self._object.read(65536)
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return True
        return False

    def until(self, deadline: float, limit: str) -> None:
        """Let reads wait until `deadline`, named `limit`."""
        self._below.until(deadline, limit)

    def interrupt(self, limit: str) -> None:
        """Wake a waiting reader."""
        self._below.interrupt(limit)

    def abort(self) -> None:
        """Make the close that follows a reset."""
        self._below.abort()

    def take_leave(self) -> None:
        """Say goodbye as far as that is possible without waiting (RFC 9112 section 9.8)."""
        with suppress(OSError):
            self._object.unwrap()
        with suppress(OSError):
            self._below.post(self._outgoing.read())

    def half_close(self) -> None:
        """Say goodbye in TLS, then in TCP. After abort nobody would hear it."""
        if self._below.aborted:
            return
        with suppress(ssl.SSLError):  # the peer's own goodbye is still to come, or never will
            self._object.unwrap()
        self._flush()
        self._below.half_close()

    def _with_more(self, first: bytes) -> bytes:
        """And what else has come: a record is 16 KiB at most, and each piece costs whoever takes it."""
        pieces = [first]
        try:
            while self._incoming.pending and (piece := self._object.read(65536)):
                pieces.append(piece)
        except ssl.SSLError:  # only a part of a record; or the next read fails, too
            pass
        return b"".join(pieces)

    def _fill(self) -> None:
        data = self._below.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._below.write(data)


FindContext = Callable[[str], ssl.SSLContext | None]


class ServerNames:
    """Which context serves which server name; replaced as a whole when certificates change.

    Tickets are the default context's, so that a session resumes whatever was chosen, and when certificates change. It
    does so for another name too: TLS 1.3 leaves that to clients (RFC 8446 4.6.1), and none is known by TLS here.
    """

    def __init__(self, default: ssl.SSLContext) -> None:
        self._default = default
        self._find: FindContext = _find_none
        # The C type's own attribute: gevent's override of it serves sockets only, and we have memory buffers.
        _SystemContext.sni_callback.__set__(default, self._choose)

    def replace(self, find: FindContext) -> None:
        """Serve what `find` knows from the next handshake on: exact names, or `*.` in place of one label."""
        self._find = find

    def context(self) -> ssl.SSLContext:
        """The context each connection begins with."""
        return self._default

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        chosen = self.find(name or "")
        if chosen is not None:
            connection.context = chosen

    def find(self, name: str) -> ssl.SSLContext | None:
        """The context for `name`, None for the default."""
        name = name.lower().rstrip(".")
        _, _, parent = name.partition(".")
        return self._find(name) or self._find(f"*.{parent}")


def _find_none(_: str) -> None:
    """Before there are certificates."""


def server_context(chain: str, private_key: str, protocols: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
    """A context of TLS 1.2 and up for this chain and key (PEM). Raises ValueError saying what is wrong with them.

    `protocols` are named to clients that ask for one by ALPN (RFC 7301).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    if protocols:
        context.set_alpn_protocols([*protocols])
    load_chain(context, chain, private_key)
    return context


def load_chain(context: ssl.SSLContext, chain: str, private_key: str) -> None:
    """Have the context show this chain (PEM, leaf first). Raises ValueError saying what is wrong with it or its key."""
    # OpenSSL takes files only; this one has no name and lies in memory, so the key never touches a disk.
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, f"{chain.strip()}\n{private_key.strip()}\n".encode())
        # The password callback answers at once where OpenSSL would ask on the terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=lambda: b"")
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"certificate and private key can't be used for TLS: {error}") from error
    finally:
        os.close(descriptor)
