"""`garrison-outpost`: the composition root of the data plane. Reads the settings, then runs the supervisor.

Exit status: 0 after a stop, 1 when the outpost can't run here, 2 when its settings can't be used.
"""

import asyncio
import http.client
import os
import socket
import sys
from importlib.metadata import version
from typing import NoReturn

from dataplane.runtime import logs
from dataplane.runtime.plan import Address, Plan, TcpAddress, UnixAddress
from dataplane.settings import Healthcheck, SettingsRefused, read

_HEALTHCHECK_SECONDS = 3.0
_STANDARD_ERROR = 2
# gRPC reads these when it is imported: its own stderr lines are no JSON, and nothing here forks after it.
_GRPC = {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0"}


def main() -> NoReturn:
    """Run the command line."""
    try:
        task = read(sys.argv[1:], os.environ, version("garrison"))
    except SettingsRefused as error:
        print(f"garrison-outpost: {error}", file=sys.stderr)  # noqa: T201  the one line a shell user reads
        sys.exit(2)
    match task:
        case Healthcheck():
            sys.exit(0 if any(_answers(address) for address in task.addresses) else 1)
        case Plan():
            sys.exit(_serve(task))


def fill_standard_descriptors() -> None:
    """Open those of input, output and errors that nobody gave us, upon nothing.

    Otherwise the next file or socket gets the number, and what is meant for standard output goes there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _serve(plan: Plan) -> int:
    fill_standard_descriptors()
    for name, value in _GRPC.items():
        os.environ.setdefault(name, value)
    logs.set_up(plan.log_level, {})
    # Imports gRPC, which must come after its environment.
    from dataplane.runtime.outpost import run

    return asyncio.run(run(plan))


def _answers(address: Address) -> bool:
    try:
        connection = _connection(address)
        # Not the ping: it answers for as long as the supervisor lives, with or without workers.
        connection.request("GET", "/-/health/live/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def _connection(address: Address) -> http.client.HTTPConnection:
    match address:
        case TcpAddress():
            return http.client.HTTPConnection(address.host or "127.0.0.1", address.port, timeout=_HEALTHCHECK_SECONDS)
        case UnixAddress():
            connection = http.client.HTTPConnection("localhost", timeout=_HEALTHCHECK_SECONDS)
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(_HEALTHCHECK_SECONDS)
            connection.sock.connect(address.path)
            return connection


if __name__ == "__main__":
    main()
