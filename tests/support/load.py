"""HTTP clients that never rest, and know of every request what became of it.

What may happen to a client of a server that ends well: it is answered; its connection, used before, has a clean end
before another answer began, so it may ask again (RFC 9112 9.3.1); a new connection is refused. Everything else is a
loss. The clients run in a thread of the test; some keep their connections, some take a new one for each request.
"""

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Self

PATIENCE = 15.0
"""Seconds that a client waits for anything."""
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: close\r\n", re.IGNORECASE)


class Fate(StrEnum):
    """What became of a request."""

    ANSWERED = "answered"
    CLOSED = "a clean end before an answer, on a connection that had been used"
    REFUSED = "a new connection was refused"
    LOST = "accepted, and never answered"
    RESET = "a reset before an answer, on a connection that had been used"
    CUT = "half an answer"
    LATE = "no answer in time"


HARMLESS = frozenset({Fate.ANSWERED, Fate.CLOSED, Fate.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One request's fate; `port` is the client's, 0 where it had none yet. Times are time.monotonic()."""

    fate: Fate
    port: int
    began: float
    ended: float
    status: int = 0

    @property
    def took(self) -> float:
        """Seconds."""
        return self.ended - self.began


@dataclass(slots=True)
class Tally:
    """All that happened."""

    events: list[Event] = field(default_factory=list)

    @property
    def fates(self) -> Counter[Fate]:
        """How often each."""
        return Counter(event.fate for event in self.events)

    @property
    def statuses(self) -> Counter[int]:
        """Of what was answered."""
        return Counter(event.status for event in self.events if event.fate is Fate.ANSWERED)

    @property
    def losses(self) -> list[Event]:
        """What should not have happened."""
        return [event for event in self.events if event.fate not in HARMLESS]

    def slowest(self, since: float = 0.0) -> float:
        """The longest that an answer took, of requests that began since then."""
        return max((event.took for event in self.events if event.began >= since), default=0.0)


class _Ended(Exception):
    """The connection has ended; `clean` when by a FIN."""

    def __init__(self, *, clean: bool, begun: bool) -> None:
        super().__init__()
        self.clean = clean
        self.begun = begun


class _Connection:
    """One connection of one client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.port: int = writer.get_extra_info("sockname")[1]
        self.used = False

    async def ask(self, question: bytes) -> tuple[int, bool]:
        """The status of the answer, and whether the connection goes on. Raises _Ended."""
        head = b""
        try:
            self._writer.write(question)
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await self._reader.readexactly(int(length[1]) if length else 0)
        except asyncio.IncompleteReadError as error:
            raise _Ended(clean=True, begun=bool(head or error.partial)) from error
        except ConnectionError as error:
            raise _Ended(clean=False, begun=bool(head)) from error
        self.used = True
        return int(head[9:12]), not _CLOSES.search(head)

    def close(self) -> None:
        self._writer.close()


class Load:
    """So many clients ask in turn what `questions` holds; every third takes a new connection each time.

    A client whose connection is refused gives up, unless it is `stubborn`.
    """

    def __init__(self, port: int, questions: Sequence[bytes], clients: int = 9, *, stubborn: bool = False) -> None:
        self._port = port
        self._questions = questions
        self._clients = clients
        self._stubborn = stubborn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load")
        self.tally = Tally()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Tally:
        """Let all finish what they are at."""
        self._stop.set()
        self._thread.join(2 * PATIENCE)
        assert not self._thread.is_alive(), "a client does not end"
        return self.tally

    def answered(self) -> int:
        """How many answers there are by now."""
        return self.tally.fates[Fate.ANSWERED]

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(self._clients)))

    async def _client(self, number: int) -> None:
        connection: _Connection | None = None
        asked = number
        while not self._stop.is_set():
            question = self._questions[asked % len(self._questions)]
            asked += 1
            fate, connection = await self._ask(connection, question)
            if connection and number % 3 == 0:
                connection.close()
                connection = None
            if fate is Fate.REFUSED and not self._stubborn:
                break
        if connection:
            connection.close()

    async def _ask(self, connection: _Connection | None, question: bytes) -> tuple[Fate, _Connection | None]:
        """One request's fate, and the connection if it goes on."""
        began = time.monotonic()
        status, port, fate, goes_on = 0, 0, Fate.LATE, False
        try:
            async with asyncio.timeout(PATIENCE):
                connection = connection or _Connection(*await asyncio.open_connection("127.0.0.1", self._port))
                port = connection.port
                status, goes_on = await connection.ask(question)
                fate = Fate.ANSWERED
        except _Ended as ended:
            fate = _fate(ended, used=connection is not None and connection.used)
        except ConnectionRefusedError:
            fate = Fate.REFUSED
        except ConnectionError:
            fate = Fate.LOST
        except TimeoutError:
            fate = Fate.LATE
        event = Event(fate=fate, port=port, began=began, ended=time.monotonic(), status=status)
        self.tally.events.append(event)
        if connection and not goes_on:
            connection.close()
        return fate, connection if goes_on else None


def _fate(ended: _Ended, *, used: bool) -> Fate:
    if ended.begun:
        return Fate.CUT
    if not used:
        return Fate.LOST
    return Fate.CLOSED if ended.clean else Fate.RESET


class Waiting:
    """Connections with a request on each, which nobody has accepted yet."""

    def __init__(self, port: int, question: bytes, number: int) -> None:
        self._clients = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(number)]
        for client in self._clients:
            client.sendall(question)

    @property
    def ports(self) -> set[int]:
        """Of the clients."""
        return {int(client.getsockname()[1]) for client in self._clients}

    def answers(self) -> Counter[str]:
        """How they begin, or what happened instead."""
        return Counter(_first_line(client) for client in self._clients)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()


def _first_line(client: socket.socket) -> str:
    try:
        return client.recv(4096).partition(b"\r\n")[0].decode("latin-1")
    except OSError as error:
        return type(error).__name__


def accepted(pid: int, port: int) -> set[int]:
    """The clients' ports of the connections to `port` that a process has accepted."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {_port(row[2]) for row in rows if row[9] in inodes and _port(row[1]) == port and _port(row[2])}


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def get(path: str, host: str, *fields: str) -> bytes:
    """A request without a body."""
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode()
