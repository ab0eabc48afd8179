"""A connection anew for each exchange, until there is a pool."""

from dataclasses import dataclass

from dataplane.io.dial import Address, Upstream, dial


class Unreachable(Exception):
    def __init__(self, failure: str, address: str, detail: str) -> None:
        super().__init__(failure, address, detail)
        self.failure = failure
        self.address = address
        self.detail = detail


class Full(Exception):
    pass


@dataclass(slots=True)
class Lease:
    wire: Upstream
    address: str
    reused: bool = False

    def give_back(self) -> None:
        self.wire.close()

    def drop(self) -> None:
        self.wire.close()


class Upstreams:
    def __init__(self, address: Address, timeout: float) -> None:
        self._address = address
        self._timeout = timeout

    def take(self, patience: float | None = None, *, fresh: bool = False) -> Lease:
        try:
            return Lease(dial(self._address, self._timeout), str(self._address))
        except TimeoutError as error:
            raise Unreachable("late", str(self._address), str(error)) from error
        except OSError as error:
            raise Unreachable("unreachable", str(self._address), f"can't connect: {error}") from error
