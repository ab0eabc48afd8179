"""nginx asks about one host and serves another (RFC 9112 3.2.2: a request line that names a host beats Host).

As nginx is usually set up (authentik's own snippet too), X-Original-URL holds $http_host, which is the client's Host
header whatever it is, and Host holds $host, by which nginx chose the server block.
"""

from dataclasses import replace

import pytest

from tests.dataplane.protocols.proxy.builders import DOMAIN, WIKI, Answer, Outpost, session

CHAT = replace(WIKI, id="p9", client_id="chat", name="Chat", external_host="https://chat.example.com")
OTHER_PORT = replace(CHAT, external_host="https://wiki.example.com:8443")
OPEN = replace(WIKI, skip_path_regex=("^/public",))
OPEN_DOMAIN = replace(DOMAIN, skip_path_regex=("^https://one[.]corp[.]test/public",))


def ask(outpost: Outpost, url: str, served: str, headers: dict[str, str] | None = None) -> Answer:
    """nginx serves `served`; the client's Host header makes it ask about `url`."""
    return outpost.check("nginx", url, {"Host": served, **(headers or {})})


def refusals(outpost: Outpost) -> int:
    return outpost.doors.metrics.refusals["hosts_differ"]


@pytest.mark.parametrize("served", ["chat.example.com", "auth.corp.test", "nobody.test", "wiki.example.com.", "[::1]"])
def test_a_session_of_one_application_opens_no_other(served: str) -> None:
    outpost = Outpost(WIKI, CHAT, DOMAIN)
    cookie = {"Cookie": outpost.cookie(session())}
    assert ask(outpost, "https://wiki.example.com/", "wiki.example.com", cookie).status == 200
    answer = ask(outpost, "https://wiki.example.com/", served, cookie)
    if served == "wiki.example.com.":  # the same host in another spelling
        assert answer.status == 200
    else:
        assert (answer.status, refusals(outpost)) == (400, 1)
        assert "$host" in answer.json["message"]


def test_a_skip_path_of_one_application_opens_no_other() -> None:
    outpost = Outpost(OPEN, CHAT)
    assert ask(outpost, "https://wiki.example.com/public/x", "wiki.example.com").status == 200
    assert ask(outpost, "https://wiki.example.com/public/x", "chat.example.com").status == 400


def test_the_only_application_is_not_what_nginx_serves_by_default() -> None:
    """nginx gives an unknown host to its first server block, which may be anybody's."""
    outpost = Outpost(WIKI)
    assert ask(outpost, "https://wiki.example.com/", "nobody.test", {"Cookie": outpost.cookie()}).status == 400


def test_a_port_that_tells_applications_apart_is_not_the_clients_to_choose() -> None:
    outpost = Outpost(WIKI, OTHER_PORT)
    cookie = {"Cookie": outpost.cookie(provider="p9")}
    assert ask(outpost, "https://wiki.example.com:8443/", "wiki.example.com", cookie).status == 400
    assert ask(outpost, "https://wiki.example.com:8443/", "wiki.example.com:8443", cookie).status == 200


def test_a_port_that_host_leaves_out_is_no_other_host() -> None:
    """nginx leaves the port out of $host."""
    outpost = Outpost(replace(WIKI, external_host="https://wiki.example.com:8443"), CHAT)
    cookie = {"Cookie": outpost.cookie()}
    assert ask(outpost, "https://wiki.example.com:8443/", "wiki.example.com", cookie).status == 200


def test_a_host_of_the_domain_opens_no_other_ones_skip_path() -> None:
    outpost = Outpost(OPEN_DOMAIN)
    assert ask(outpost, "https://one.corp.test/public/x", "one.corp.test").status == 200
    assert ask(outpost, "https://one.corp.test/public/x", "two.corp.test").status == 400


def test_the_sign_in_host_may_ask_for_its_domain_where_nothing_can_be_confused() -> None:
    """Some configurations always say the sign-in host. Then the client alone names the host, so nothing is skipped."""
    alone = Outpost(OPEN_DOMAIN)
    cookie = {"Cookie": alone.cookie(provider="p2")}
    assert ask(alone, "https://one.corp.test/", "auth.corp.test", cookie).status == 200
    assert ask(alone, "https://one.corp.test/public/x", "auth.corp.test").status == 401
    beside = Outpost(OPEN_DOMAIN, WIKI)
    assert ask(beside, "https://one.corp.test/", "auth.corp.test", cookie).status == 400


class TestInKubernetes:
    """ingress-nginx sets Host to the host of `auth-url`: the outpost's Service, as authentik's documentation has it."""

    NAMED = frozenset({"ak-outpost-edge.authentik.svc.cluster.local"})
    SERVICE = "ak-outpost-edge.authentik.svc.cluster.local"
    URL = "https://wiki.example.com/public"

    @pytest.mark.parametrize("service", [SERVICE, f"{SERVICE}:9000"])
    def test_the_name_of_the_service_says_nothing_of_the_application(self, service: str) -> None:
        outpost = Outpost(OPEN, CHAT, service_hosts=self.NAMED)
        headers = {"Cookie": outpost.cookie(), "X-Forwarded-Host": "wiki.example.com"}
        assert ask(outpost, self.URL, service, headers).status == 200
        assert ask(outpost, self.URL, service).status == 200

    @pytest.mark.parametrize(
        "other", ["nobody.test", "127.0.0.1", "x.svc", "edge.authentik.svc.cluster.local", "chat.example.com"]
    )
    def test_no_other_name_does(self, other: str) -> None:
        outpost = Outpost(WIKI, CHAT, service_hosts=self.NAMED)
        assert ask(outpost, self.URL, other, {"Cookie": outpost.cookie()}).status == 400

    def test_an_application_may_have_such_a_name(self) -> None:
        inside = replace(CHAT, external_host="http://chat.apps.svc.cluster.local")
        outpost = Outpost(WIKI, inside, service_hosts=frozenset({"chat.apps.svc.cluster.local"}))
        cookie = {"Cookie": outpost.cookie()}
        assert ask(outpost, self.URL, "chat.apps.svc.cluster.local", cookie).status == 400

    def test_elsewhere_nobody_has_such_a_name(self) -> None:
        outpost = Outpost(WIKI, CHAT)
        assert ask(outpost, self.URL, self.SERVICE, {"Cookie": outpost.cookie()}).status == 400

    def test_x_forwarded_host_can_say_what_host_can_not(self) -> None:
        outpost = Outpost(WIKI, CHAT, service_hosts=self.NAMED)
        headers = {"Cookie": outpost.cookie(), "X-Forwarded-Host": "chat.example.com"}
        assert ask(outpost, self.URL, self.SERVICE, headers).status == 400


def test_without_a_host_nothing_confirms_the_question() -> None:
    outpost = Outpost(WIKI)
    raw = f"X-Original-URL: https://wiki.example.com/\r\nCookie: {outpost.cookie()}\r\n\r\n"
    (answer,), _ = outpost.exchange(f"GET /outpost.goauthentik.io/auth/nginx HTTP/1.0\r\n{raw}".encode())
    assert answer.status == 400
