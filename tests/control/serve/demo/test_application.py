"""The demo's page."""

import re
import threading

from control.serve.demo.application import make_server, page
from tests.support.peers_http import ask


def test_who_comes_first_and_the_token_last() -> None:
    names = [
        "X-authentik-jwt",
        "X-authentik-meta-app",
        "X-authentik-uid",
        "X-authentik-username",
        "X-authentik-x",
        "Date",
    ]
    text = page([(name, "v") for name in names], "/out").decode()
    assert re.findall("<th>(.+?)</th>", text) == [
        "X-authentik-username",
        "X-authentik-uid",
        "X-authentik-x",
        "X-authentik-meta-app",
        "X-authentik-jwt",
    ]


def test_values_are_no_markup() -> None:
    text = page([("X-authentik-name", "<script>alert(1)</script>")], '"><script>').decode()
    assert "<script>" not in text


def test_nobody_is_nobody() -> None:
    assert "Hello, nobody" in page([], "/out").decode()


def test_it_is_a_server_that_shows_who_asks() -> None:
    server = make_server(("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    port = int(server.server_address[1])
    answer = ask(port, "/any/page", headers=[("X-authentik-name", "Alice & Co")])
    assert (answer.status, "Hello, Alice &amp; Co" in answer.text) == (200, True)
    head = ask(port, "/", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    server.shutdown()
    server.server_close()
