"""Reading pages as a hostile browser would: what in them could run, and which addresses they lead to."""

from html.parser import HTMLParser

# Elements of ours that may hold data: addresses only for these attributes.
ADDRESSES = {"href", "src", "action", "hx-get", "hx-post", "formaction"}
DATA = {"script", "style"}


class _Scanner(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._open = tag
        names = {name for name, _ in attrs}
        if tag == "style" or (tag == "script" and "src" not in names):
            self.wrong.append(f"inline <{tag}>")
        for name, value in attrs:
            self._attribute(tag, name, value or "")

    def handle_data(self, data: str) -> None:
        if self._open in DATA and data.strip():
            self.wrong.append(f"text in <{self._open}>: {data[:40]}")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - as the library calls it
        self._open = ""

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name == "style" or name.startswith(("on", "hx-on")):
            self.wrong.append(f"<{tag} {name}>")
        if name in ADDRESSES:
            self.addresses.append(value)
            if value.lower().strip().startswith(("javascript:", "data:", "vbscript:")):
                self.wrong.append(f"<{tag} {name}={value[:40]}>")
        if name in {"hx-vals", "hx-vars", "hx-trigger"} and ("js:" in value or "[" in value):
            self.wrong.append(f"<{tag} {name}={value[:40]}>")


def inline_code(page: str) -> list[str]:
    """Everything in a page that a content security policy without 'unsafe-inline' forbids."""
    scanner = _Scanner()
    scanner.feed(page)
    return scanner.wrong


def links(page: str) -> list[str]:
    """The addresses of a page that lead to the app itself."""
    scanner = _Scanner()
    scanner.feed(page)
    found = (address.split("#")[0] for address in scanner.addresses)
    return [address for address in found if address.startswith("/") and not address.startswith("//")]


def tags(page: str) -> list[str]:
    """The elements of a page, in order."""
    scanner = _Scanner()
    scanner.feed(page)
    return scanner.tags
