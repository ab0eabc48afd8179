"""One connected socket as blocking greenlet code sees it: read, write, close, each with a deadline.

The "switch" technique: one io watcher stays started for the life of the connection and switches straight into
the waiting greenlet; recv and send are the raw calls. That is about half the cost of gevent.socket, which starts
and stops a watcher and asks getsockopt on every call. Short writes fall back to waiting for the socket.
"""

import socket
import struct
from collections.abc import Callable
from typing import Protocol

import gevent
from gevent import Greenlet, get_hub, getcurrent
from gevent.event import Event
from gevent.hub import Waiter
from gevent.timeout import Timeout

from dataplane.io.backlog import Backlog

READ, WRITE = 1, 2
READ_SIZE = 65536
_A_MOMENT = 1e-6
_READY, _LATE = True, False
_HALF_CLOSED = {7, 8, 9, 11}
"""Of tcpi_state in tcp(7), after TCP_CLOSE: states in which the peer sends nothing more."""


class LimitHit(Exception):
    """The connection has to end; `limit` names what it hit, `reason` may say more."""

    def __init__(self, limit: str, reason: str = "") -> None:
        super().__init__(limit, reason)
        self.limit = limit
        self.reason = reason


class Expired(LimitHit):
    """A deadline has passed."""


class Stream(Protocol):
    """What a connection reads from and writes to: a plain socket, or TLS upon one."""

    def read(self) -> bytes:
        """The next bytes; empty when the peer has closed. Raises Expired and OSError."""
        ...

    def take(self) -> bytes:
        """What has arrived already; empty for nothing, and when the peer has closed. Raises OSError."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises Expired and OSError."""
        ...

    def post(self, data: bytes) -> bool:
        """Send what can go at once, and keep the rest until `settle`; whether that was all. Raises OSError."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken yet."""
        ...

    def settle(self) -> None:
        """Wait until the peer has taken all. Raises Expired and OSError."""
        ...

    def rest(self, notice: Callable[[bool], object]) -> None:
        """Nobody reads for now: have `notice` called, once and in the hub, when there is something, or for False."""
        ...

    def stir(self) -> None:
        """The end of a rest."""
        ...

    def has_left(self) -> bool:
        """Whether the peer has closed its side, as far as that can be told. Raises OSError if it is gone."""
        ...

    def until(self, deadline: float, limit: str) -> None:
        """Let reads wait until `deadline` (the loop's clock); past it they raise Expired(`limit`)."""
        ...

    def half_close(self) -> None:
        """Tell the peer that nothing more comes."""
        ...

    def interrupt(self, limit: str) -> None:
        """Wake a waiting reader with Expired(`limit`)."""
        ...

    def abort(self) -> None:
        """Make the close that follows a reset."""
        ...


class SocketStream:
    """A connected, non-blocking socket of the operating system (not one of gevent's)."""

    __slots__ = (
        "_aborted",
        "_armed",
        "_backlog",
        "_begun",
        "_blocked",
        "_broken",
        "_deadline",
        "_hub",
        "_limit",
        "_read_size",
        "_reader",
        "_recv",
        "_rest",
        "_resume",
        "_send",
        "_socket",
        "_switch",
        "_watcher",
        "_writer",
        "_written",
        "write_timeout",
    )

    def __init__(
        self,
        sock: socket.socket,
        write_timeout: float,
        backlog: Backlog | None = None,
        read_size: int = READ_SIZE,
    ) -> None:
        self._socket = sock
        self._backlog = backlog or Backlog(None)
        self._recv: Callable[[int], bytes] = sock.recv
        self._send: Callable[[bytes | bytearray], int] = sock.send
        self._hub = get_hub()
        self._watcher = self._hub.loop.io(sock.fileno(), READ)
        self._armed = False
        self._aborted = False
        self._resume: Callable[[bool], object] | None = None
        self._read_size = read_size
        self._reader: object = None
        self._switch: Callable[[bool], object] | None = None
        self._deadline = float("inf")
        self._limit = ""
        self.write_timeout = write_timeout
        """Seconds without any progress of a write."""
        self._begun = b""
        self._rest = bytearray()
        self._written: Event | None = None
        self._broken: BaseException | None = None
        self._writer: object = None
        self._blocked: tuple[Callable[[], object], Waiter[bool]] | None = None

    def until(self, deadline: float, limit: str) -> None:
        """Let reads wait until `deadline`, named `limit`."""
        self._deadline = deadline
        self._limit = limit

    def begin_with(self, data: bytes) -> None:
        """Have what was read of the connection read again, first of all."""
        self._begun = data

    def read(self) -> bytes:
        """Wait until there is something, then take it."""
        if self._begun:
            data, self._begun = self._begun, b""
            return data
        while True:
            if not self._armed:
                self._watcher.start(self._readable)
                self._armed = True
            reader = getcurrent()
            if reader is not self._reader:
                self._reader = reader
                self._switch = reader.switch
            self._resume = self._switch
            try:
                ready = self._hub.switch()
            finally:
                self._resume = None
            if not ready:
                raise Expired(self._limit)
            try:
                return self._recv(self._read_size)
            except BlockingIOError:  # another wake-up than readability
                continue

    def take(self) -> bytes:
        """What lies there, without waiting."""
        try:
            return self._recv(READ_SIZE)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        """Send raw; what the kernel does not take at once waits for the socket, and what comes meanwhile after it."""
        if self._rest:
            self._write_after(data)
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._write_slowly(memoryview(data)[sent:])

    def post(self, data: bytes) -> bool:
        """Send what the kernel takes at once, and keep the rest until `settle`; whether that was all."""
        if not self._rest:
            try:
                sent = self._send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return True
            data = data[sent:]
        self._rest += data
        return False

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken yet."""
        return len(self._rest)

    def settle(self) -> None:
        """Wait until the peer has taken all."""
        if self._rest:
            self._write_after(b"")

    def cut(self) -> None:
        """Break off what is being sent, for there is no room for it."""
        if isinstance(self._writer, Greenlet):
            self._writer.kill(LimitHit("unsent"), block=False)

    def expire(self, now: float) -> None:
        """Called by the ticker, in the hub: wake a reader whose deadline has passed."""
        if self._deadline <= now:
            self.wake()

    def wake(self) -> None:
        """Called in the hub: wake a waiting reader with Expired."""
        resume, self._resume = self._resume, None
        if resume is not None:
            resume(_LATE)

    def interrupt(self, limit: str) -> None:
        """Wake the reader, with Expired(`limit`); through the hub, for a caller that switched to it would not go on."""
        self._limit = limit
        self._hub.loop.run_callback(self.wake)

    def half_close(self) -> None:
        """Shut down our side; the peer may be gone already. After abort there is nothing to shut down."""
        if self._aborted:
            return
        try:
            self._socket.shutdown(1)
        except OSError:
            return

    def abort(self) -> None:
        """Let close send a reset (SO_LINGER with no time), not a clean end."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._aborted = True

    def rest(self, notice: Callable[[bool], object]) -> None:
        """Nobody reads for now: have `notice` called, once and in the hub, when the peer says something or ends."""
        self._resume = notice
        if not self._armed:
            self._watcher.start(self._readable)
            self._armed = True

    def stir(self) -> None:
        """The end of a rest."""
        self._resume = None

    def has_left(self) -> bool:
        """Whether it has closed its side; of a unix socket, as far as nothing unread hides it."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK) or self._is_half_closed()
        except BlockingIOError:
            return False

    def _is_half_closed(self) -> bool:
        if self._socket.family == socket.AF_UNIX:
            return False
        state: int = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state in _HALF_CLOSED

    @property
    def is_silent(self) -> bool:
        """Whether nothing has arrived that nobody has read, not even the end."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @property
    def aborted(self) -> bool:
        """Whether the close that follows is a reset."""
        return self._aborted

    def close(self) -> None:
        """Stop the watcher before the descriptor goes, for another connection may get its number.

        Whoever still waits to read gets Expired("closed"), whoever waits to write ConnectionAbortedError.
        """
        self._watcher.stop()
        self._watcher.close()
        if self._blocked is not None:
            stop, waiter = self._blocked
            stop()
            self._hub.loop.run_callback(waiter.throw, ConnectionAbortedError("closed"))
        if self._resume is not None:
            self.interrupt("closed")
        self._socket.close()

    def _readable(self) -> None:
        resume = self._resume
        if resume is None:  # the greenlet is busy elsewhere: be silent until it reads again
            self._watcher.stop()
            self._armed = False
        else:
            self._resume = None
            resume(_READY)

    def _write_after(self, data: bytes) -> None:
        """Let the greenlet that waits for the socket send this too: nothing may come between the parts of a piece."""
        if self._broken is not None:
            raise self._broken
        written = self._written
        if written is None or self._writer is None:  # what was posted waits for somebody
            self._write_slowly(memoryview(data))
            return
        self._rest += data
        self._backlog.grow(self, len(data))
        written.wait()
        if self._broken is not None:
            raise self._broken

    def _write_slowly(self, rest: memoryview) -> None:
        written = self._written = Event()
        self._writer = getcurrent()
        self._rest += rest
        try:
            self._backlog.grow(self, len(self._rest))
            while self._rest:
                self._wait_for_room()
                try:
                    sent = self._send(self._rest)
                except BlockingIOError:
                    continue
                del self._rest[:sent]
                self._backlog.shrink(sent)
        except BaseException as error:
            self._broken = error
            raise
        finally:
            self._writer = None
            self._backlog.leave(self, len(self._rest))
            # What is left of a piece says that nothing may follow it.
            del self._rest[1:]
            written.set()

    def _wait_for_room(self) -> None:
        watcher = self._hub.loop.io(self._socket.fileno(), WRITE)
        waiter: Waiter[bool] = Waiter()
        self._blocked = (watcher.stop, waiter)
        try:
            with Timeout(self.write_timeout, Expired("write_timeout")):
                watcher.start(waiter.switch, _READY)
                waiter.get()
        finally:
            self._blocked = None
            watcher.stop()
            watcher.close()


def give_way() -> None:
    """Let others run, who wait for a socket or for time too.

    gevent.sleep(0) lets in those who wait for nothing: gevent looks at sockets and clocks after each 50th of them only.
    """
    gevent.sleep(_A_MOMENT)


def loop_now() -> float:
    """The event loop's own clock, cached per iteration: free to read."""
    now: float = gevent.get_hub().loop.now()
    return now
