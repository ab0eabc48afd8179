"""A browser in a few lines: it keeps cookies as RFC 6265 says (host, domain, path, Secure, Max-Age) and follows us."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.dataplane.protocols.proxy.builders import Answer, Outpost


@dataclass(frozen=True)
class Kept:
    """A cookie with where it may go."""

    value: str
    host: str
    exact: bool
    path: str
    secure: bool


@dataclass
class Browser:
    """Visits the outpost's own paths on application hosts, and remembers."""

    outpost: Outpost
    refuses_cookies: bool = False
    jar: dict[str, Kept] = field(default_factory=dict)

    def visit(self, url: str, method: str = "GET", **headers: str) -> Answer:
        """Ask the outpost directly, as a reverse proxy passes its paths on."""
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        fields = {
            "Host": parts.netloc,
            "X-Forwarded-Proto": parts.scheme,
            "Accept": "text/html",
            "Sec-Fetch-Mode": "navigate",
            **self.cookies(url),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        answer = self.outpost.ask(target, method, fields)
        self.keep(parts.netloc, answer)
        return answer

    def check(self, dialect: str, url: str, **headers: str) -> Answer:
        """Ask through a forward-auth check."""
        fields = {"Accept": "text/html", **self.cookies(url), **headers}
        answer = self.outpost.check(dialect, url, fields)
        self.keep(urlsplit(url).netloc, answer)
        return answer

    def cookies(self, url: str) -> dict[str, str]:
        """The Cookie header for a URL."""
        parts = urlsplit(url)
        matching = [
            f"{name}={kept.value}"
            for name, kept in self.jar.items()
            if (parts.netloc == kept.host or (not kept.exact and parts.netloc.endswith("." + kept.host)))
            and (parts.path or "/").startswith(kept.path)
            and (parts.scheme == "https" or not kept.secure)
        ]
        return {"Cookie": "; ".join(matching)} if matching else {}

    def keep(self, host: str, answer: Answer) -> None:
        """Take the answer's cookies."""
        for line in [] if self.refuses_cookies else answer.all("Set-Cookie"):
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            told = {attribute.partition("=")[0]: attribute.partition("=")[2] for attribute in attributes}
            domain = told.get("Domain", "")
            if domain and host != domain and not host.endswith("." + domain):
                continue  # RFC 6265 5.3: a foreign domain is ignored
            if told["Max-Age"] == "0":
                self.jar.pop(name, None)
            else:
                self.jar[name] = Kept(value, domain or host, not domain, told["Path"], "Secure" in told)

    def sign_in_at_control(self, location: str, code: str = "code") -> str:
        """What control does with a person signed in: where it sends the browser back to."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}
        self.outpost.gate.nonce = query["nonce"]
        return f"{query['redirect_uri']}&code={code}&state={query['state']}"
