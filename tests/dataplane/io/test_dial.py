import socket
from pathlib import Path

import pytest

from dataplane.io.dial import TcpAddress, UnixAddress, dial


def test_reaches_tcp_and_unix_sockets(tmp_path: Path) -> None:
    for family, name in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, str(tmp_path / "s"))):
        with socket.socket(family) as listener:
            listener.bind(name)
            listener.listen(1)
            here = listener.getsockname()
            address = TcpAddress(host=here[0], port=here[1]) if family == socket.AF_INET else UnixAddress(path=here)
            with dial(address, 5) as upstream:
                there, _ = listener.accept()
                with there:
                    upstream.write(b"ping", 5)
                    assert there.recv(10) == b"ping"
                    there.sendall(b"pong")
                    assert upstream.read(5) == b"pong"
                    upstream.half_close()
                    assert there.recv(10) == b""


def test_nobody_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dial(UnixAddress(path=str(tmp_path / "missing")), 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            dial(TcpAddress(host="127.0.0.1", port=taken.getsockname()[1]), 1)


def test_silence_is_a_time_out(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen(1)
        with dial(UnixAddress(path=str(tmp_path / "s")), 1) as upstream, pytest.raises(TimeoutError):
            upstream.read(0.05)
