"""Bytes that have told proxies and applications apart, as cases by name. Hosts are app.test; bodies say what they are.

Sources: RFC 9112 sections 2 to 7 and 11, the cases of http-garden and of published request-smuggling research.
"""

from collections.abc import Iterator, Mapping

HOST = b"Host: app.test\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
WHOLE = b"5\r\nhello\r\n0\r\n\r\n"


def get(target: bytes = b"/", *lines: bytes, host: bytes = HOST) -> bytes:
    """A GET with these further header lines."""
    return b"GET " + target + b" HTTP/1.1\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(*lines: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    """A POST whose framing is all the caller's."""
    return b"POST /p HTTP/%s\r\n" % version + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def chunks(body: bytes, *lines: bytes) -> bytes:
    """A chunked POST."""
    return post(CHUNKED.strip(), *lines, body=body)


def _framing() -> Iterator[tuple[str, bytes]]:
    smuggling = b"0\r\n\r\n" + SMUGGLED
    yield "cl+te", post(b"Content-Length: %d" % len(smuggling), b"Transfer-Encoding: chunked", body=smuggling)
    yield "te+cl", post(b"Transfer-Encoding: chunked", b"Content-Length: 3", body=b"1\r\na\r\n0\r\n\r\n")
    yield "cl 0+te", post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=WHOLE)
    lengths = {
        "same": (b"5", b"5"), "different": (b"5", b"6"), "zero first": (b"0", b"5"), "zero last": (b"5", b"0"),
    }  # fmt: skip
    for name, (one, two) in lengths.items():
        yield f"cl twice {name}", post(b"Content-Length: " + one, b"Content-Length: " + two, body=b"hello")
    values = {
        "list same": b"5, 5", "list different": b"5, 6", "plus": b"+5", "minus": b"-5", "minus zero": b"-0",
        "hex": b"0x5", "hex digit": b"a", "underscore": b"0_5", "space within": b"0 5", "space behind": b"5 ",
        "tab before": b"\t5", "tab behind": b"5\t", "leading zeros": b"0005", "many zeros": b"0" * 40 + b"5",
        "huge": b"9" * 19, "beyond 64 bits": b"18446744073709551621", "beyond 128 bits": b"9" * 40, "decimal": b"5.0",
        "exponent": b"5e0", "empty": b"", "words": b"five", "comma": b"5,", "semicolon": b"5;", "quoted": b'"5"',
        "unicode digit": "٥".encode(), "form feed": b"5\x0c", "vertical tab": b"\x0b5", "nul": b"5\0",
    }  # fmt: skip
    for name, value in values.items():
        yield f"cl {name}", post(b"Content-Length: " + value, body=b"hello")
    yield "cl space before colon", post(b"Content-Length : 5", body=b"hello")
    yield "cl underscore name", post(b"Content_Length: 40", b"Content-Length: 5", body=b"hello")
    yield "cl folded", post(b"Content-Length:\r\n 5", body=b"hello")
    yield "cl bare cr", post(b"X: y\rContent-Length: 40", b"Content-Length: 5", body=b"hello")
    yield "cl on get", get(b"/g", b"Content-Length: 5") + b"hello"
    yield "cl short", post(b"Content-Length: 3", body=b"hello")
    yield "cl none", post()
    yield "cl in 1.0", post(b"Content-Length: 5", b"Connection: keep-alive", body=b"hello", version=b"1.0")
    yield "body without cl", post(body=SMUGGLED)


def _codings() -> Iterator[tuple[str, bytes]]:
    values = {
        "upper": b"CHUNKED", "chunked, identity": b"chunked, identity", "identity, chunked": b"identity, chunked",
        "identity": b"identity", "xchunked": b"xchunked", "chunkedx": b"chunkedx", "tab": b"\tchunked",
        "tab behind": b"chunked\t", "space behind": b"chunked ", "comma first": b", chunked", "comma last": b"chunked,",
        "twice": b"chunked, chunked", "gzip, chunked": b"gzip, chunked", "quoted": b'"chunked"',
        "parameter": b"chunked;q=1", "empty": b"", "vertical tab": b"\x0bchunked", "form feed": b"chunked\x0c",
        "nul": b"chunked\0", "high": b"chunked\xff", "kelvin": "chun\u212aed".encode(), "bracket": b"[chunked]",
    }  # fmt: skip
    for name, value in values.items():
        yield f"te {name}", post(b"Transfer-Encoding: " + value, body=WHOLE)
    names = {
        "space before colon": b"Transfer-Encoding : chunked", "tab before colon": b"Transfer-Encoding\t: chunked",
        "space before": b" Transfer-Encoding: chunked", "underscore": b"Transfer_Encoding: chunked",
        "folded": b"Transfer-Encoding:\r\n chunked", "folded before": b"X: y\r\n Transfer-Encoding: chunked",
        "bare cr": b"X: y\rTransfer-Encoding: chunked", "nul before": b"\0Transfer-Encoding: chunked",
        "bare lf": b"X: y\nTransfer-Encoding: chunked", "no colon": b"Transfer-Encoding chunked",
        "no space": b"Transfer-Encoding:chunked",
    }  # fmt: skip
    for name, line in names.items():
        yield f"te {name}", post(b"Content-Length: 15", line, body=WHOLE)
        yield f"te alone {name}", post(line, body=WHOLE)
    yield "te two lines", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=WHOLE)
    yield "te two lines reversed", post(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", body=WHOLE)
    yield "te in 1.0", post(b"Transfer-Encoding: chunked", b"Connection: keep-alive", body=WHOLE, version=b"1.0")
    yield "te on get", get(b"/g", b"Transfer-Encoding: chunked") + WHOLE
    yield "te listed in connection", post(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked", body=WHOLE)


def _chunks() -> Iterator[tuple[str, bytes]]:
    bodies = {
        "good": WHOLE, "upper hex": b"A\r\n0123456789\r\n0\r\n\r\n", "leading zeros": b"0005\r\nhello\r\n0\r\n\r\n",
        "many zeros": b"0" * 64 + b"5\r\nhello\r\n0\r\n\r\n", "zeros at the end": WHOLE[:-5] + b"000\r\n\r\n",
        "plus": b"+5\r\nhello\r\n0\r\n\r\n", "minus": b"-5\r\nhello\r\n0\r\n\r\n", "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
        "underscore": b"0_5\r\nhello\r\n0\r\n\r\n", "space before": b" 5\r\nhello\r\n0\r\n\r\n",
        "space behind": b"5 \r\nhello\r\n0\r\n\r\n", "tab behind": b"5\t\r\nhello\r\n0\r\n\r\n",
        "empty": b"\r\nhello\r\n0\r\n\r\n", "not hex": b"g\r\nhello\r\n0\r\n\r\n",
        "huge": b"f" * 16 + b"\r\nhello\r\n0\r\n\r\n", "overflow": b"1" + b"0" * 16 + b"5\r\nhello\r\n0\r\n\r\n",
        "extension": b"5;a=b\r\nhello\r\n0\r\n\r\n", "extension empty": b"5;\r\nhello\r\n0\r\n\r\n",
        "extension quoted": b'5;a="b;c"\r\nhello\r\n0\r\n\r\n', "extension space": b"5 ; a = b\r\nhello\r\n0\r\n\r\n",
        "extension bare lf": b"5;a\nhello\r\n0\r\n\r\n", "extension cr": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        "extension nul": b"5;a\0\r\nhello\r\n0\r\n\r\n",
        "extension long": b"5;" + b"a" * 9000 + b"\r\nhello\r\n0\r\n\r\n",
        "extension at the end": b"5\r\nhello\r\n0;a=b\r\n\r\n", "extension smuggling": b"5;\n" + WHOLE,
        "extension in quotes with crlf": b'5;a="\r\nhello\r\n0\r\n\r\n',
        "no crlf behind": b"5\r\nhello0\r\n\r\n", "lf behind": b"5\r\nhello\n0\r\n\r\n",
        "cr behind": b"5\r\nhello\r0\r\n\r\n",
        "two bytes that are none": b"5\r\nhelloXX0\r\n\r\n", "bare lf": b"5\nhello\n0\n\n",
        "bare lf size": b"5\nhello\r\n0\r\n\r\n",
        "bare cr size": b"5\rhello\r\n0\r\n\r\n", "bare lf last": b"5\r\nhello\r\n0\n\r\n",
        "bare lf end": b"5\r\nhello\r\n0\r\n\n",
        "longer than said": b"5\r\nhello world\r\n0\r\n\r\n", "trailer": b"5\r\nhello\r\n0\r\nX-Trailer: a\r\n\r\n",
        "trailer framing": b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n",
        "trailer managed": b"5\r\nhello\r\n0\r\nX-authentik-username: admin\r\n\r\n",
        "trailer smuggling": b"5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n",
        "trailer malformed": b"5\r\nhello\r\n0\r\nX Y: a\r\n\r\n",
        "trailer folded": b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
        "trailer bare lf": b"5\r\nhello\r\n0\r\nX: a\n\r\n", "trailer bare cr": b"5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n",
        "trailer nul": b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n", "trailer large": b"0\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        "trailers many": b"0\r\n" + b"X: a\r\n" * 500 + b"\r\n",
        "one byte each": b"".join(b"1\r\n%c\r\n" % byte for byte in b"hello") + b"0\r\n\r\n", "none": b"0\r\n\r\n",
    }  # fmt: skip
    for name, body in bodies.items():
        yield f"chunk {name}", chunks(body)


def _lines() -> Iterator[tuple[str, bytes]]:
    good = get()
    yield "lf only", good.replace(b"\r\n", b"\n")
    yield "lf behind request line", good.replace(b"\r\n", b"\n", 1)
    yield "lf behind header", get(b"/", b"X: y\nZ: z")
    yield "lf at the end", good[:-2] + b"\n"
    yield "cr only", good.replace(b"\r\n", b"\r")
    yield "cr in value", get(b"/", b"X: a\rb")
    yield "cr cr lf", get(b"/", b"X: a\r")
    yield "nul in value", get(b"/", b"X: a\0b")
    yield "nul in name", get(b"/", b"X\0: a")
    yield "nul in target", get(b"/\0")
    yield "controls in value", get(b"/", b"X: \x01\x1b")
    yield "del in value", get(b"/", b"X: \x7f")
    yield "high in value", get(b"/", "X: \u00e9".encode())
    yield "latin-1 in value", get(b"/", b"X: \xe9")
    yield "tab in value", get(b"/", b"X: a\tb")
    yield "fold", get(b"/", b"X: a\r\n b")
    yield "fold with tab", get(b"/", b"X: a\r\n\tb")
    yield "fold of nothing", get(b"/", b"X: a\r\n ")
    yield "fold behind request line", b"GET / HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n"
    yield "leading crlf", b"\r\n" + good
    yield "leading crlfs", b"\r\n\r\n\r\n" + good
    yield "leading lf", b"\n" + good
    yield "leading space", b" " + good
    yield "leading nul", b"\0" + good
    yield "leading bom", b"\xef\xbb\xbf" + good
    names = {
        "space": b"X Y: a", "space before colon": b"X : a", "tab before colon": b"X\t: a", "underscore": b"X_Y: a",
        "dot": b"X.Y: a", "none": b": a", "no colon": b"X", "two colons": b"X:: a", "colon in front": b":X: a",
        "brackets": b"X[Y]: a", "high": b"X\xe9: a", "quote": b'"X": a', "slash": b"X/Y: a", "at": b"X@Y: a",
        "token": b"!#$%&'*+.^_`|~: a", "empty value": b"X:", "no space": b"X:a", "long": b"X" * 300 + b": a",
        "underscore managed": b"X_Forwarded_For: 1.2.3.4", "dot managed": b"X.authentik.username: admin",
    }  # fmt: skip
    for name, line in names.items():
        yield f"name {name}", get(b"/", line)
    yield "headers 90", get(b"/", *[b"X-%d: a" % number for number in range(90)])
    yield "headers 500", get(b"/", *[b"X-%d: a" % number for number in range(500)])
    yield "header 8k", get(b"/", b"X: " + b"a" * 7_000)
    yield "header 70k", get(b"/", b"X: " + b"a" * 70_000)


_TARGETS = {
    "query": b"/a?b=c&d", "question": b"/?", "two questions": b"/a?b?c", "slashes": b"//evil.test/a",
    "many slashes": b"///a////b",
    "dots": b"/a/../b", "dots encoded": b"/a/%2e%2e/b", "dots half encoded": b"/a/.%2e/b",
    "dots beyond": b"/../../b",
    "semicolon": b"/a;x=y/b", "slash encoded": b"/a%2fb", "backslash": b"/a\\b", "backslash encoded": b"/a%5cb",
    "nul encoded": b"/a%00b", "crlf encoded": b"/a%0d%0aX:%20y", "percent": b"/%", "percent not hex": b"/%zz",
    "fragment": b"/a#b", "fragment encoded": b"/a%23b", "space": b"/a b", "space encoded": b"/a%20b",
    "tab": b"/a\tb",
    "high": b"/\xc3\xa9", "quotes": b'/a"b', "angles": b"/<a>", "braces": b"/{a}", "pipe": b"/a|b",
    "caret": b"/a^b",
    "backtick": b"/a`b", "at": b"/a@b", "colon": b"/a:b", "del": b"/\x7f", "no slash": b"a", "empty path": b"?a",
    "asterisk": b"*", "asterisk slash": b"/*", "long": b"/" + b"a" * 6_000, "longer": b"/" + b"a" * 20_000,
    "absolute": b"http://app.test/a?b", "absolute upper": b"HTTP://APP.TEST/a",
    "absolute port": b"http://app.test:80/a",
    "absolute no path": b"http://app.test", "absolute query only": b"http://app.test?a",
    "absolute other": b"http://other.test/a",
    "absolute userinfo": b"http://u:p@app.test/a", "absolute userinfo trick": b"http://other.test@app.test/a",
    "absolute empty": b"http:///a", "absolute fragment": b"http://app.test/a#b",
    "absolute ftp": b"ftp://app.test/a",
    "absolute no host": b"http:/a", "absolute backslash": b"http://app.test\\@other.test/a",
    "authority": b"app.test:80",
    "javascript": b"javascript:1", "two targets": b"/a /b", "host in target": b"//app.test",
}  # fmt: skip
_HOSTS = {
    "missing": b"", "empty": b"Host:\r\n", "twice": HOST * 2, "twice different": HOST + b"Host: other.test\r\n",
    "list": b"Host: app.test, other.test\r\n", "userinfo": b"Host: u@app.test\r\n",
    "port": b"Host: app.test:80\r\n",
    "port empty": b"Host: app.test:\r\n", "port huge": b"Host: app.test:99999\r\n",
    "port words": b"Host: app.test:a\r\n",
    "port twice": b"Host: app.test:80:80\r\n", "slash": b"Host: app.test/a\r\n", "space": b"Host: app test\r\n",
    "space before colon": b"Host : app.test\r\n", "space behind": b"Host: app.test \r\n",
    "dot": b"Host: app.test.\r\n",
    "underscore": b"Host: app_a.test\r\n", "upper": b"Host: APP.TEST\r\n", "high": b"Host: \xc3\xa9.test\r\n",
    "percent": b"Host: a%2eb\r\n", "ipv6": b"Host: [::1]:80\r\n", "ipv6 bad": b"Host: [::1\r\n",
    "ipv4": b"Host: 127.0.0.1\r\n",
    "dots": b"Host: a..b\r\n", "dot alone": b"Host: .\r\n", "hyphens": b"Host: -a-.test\r\n",
    "long": b"Host: " + b"a" * 300 + b"\r\n",
    "folded": b"Host: app.test\r\n .other.test\r\n", "tab": b"Host:\tapp.test\r\n", "quotes": b'Host: "a"\r\n',
    "question": b"Host: app.test?a\r\n", "hash": b"Host: app.test#a\r\n", "at": b"Host: app.test@other.test\r\n",
    "backslash": b"Host: app.test\\a\r\n", "scheme": b"Host: http://app.test\r\n", "braces": b"Host: {a}\r\n",
}  # fmt: skip


def _targets() -> Iterator[tuple[str, bytes]]:
    for name, target in _TARGETS.items():
        yield f"target {name}", get(target)
    yield "target asterisk options", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "target authority connect", b"CONNECT app.test:80 HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "target path connect", b"CONNECT /a HTTP/1.1\r\n" + HOST + b"\r\n"
    body = b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED
    yield "target connect with body", b"CONNECT /a HTTP/1.1\r\n" + HOST + body
    for name, host in _HOSTS.items():
        yield f"host {name}", get(b"/h", host=host)
    yield "host missing 1.0", b"GET /h HTTP/1.0\r\n\r\n"


def _starts() -> Iterator[tuple[str, bytes]]:
    methods = {
        "lower": b"get", "mixed": b"Get", "unknown": b"BREW", "long": b"A" * 100, "number": b"123", "dash": b"M-SEARCH",
        "patch": b"PATCH", "propfind": b"PROPFIND", "purge": b"PURGE", "trace": b"TRACE", "track": b"TRACK",
        "query": b"QUERY",
        "delete": b"DELETE", "head": b"HEAD", "options": b"OPTIONS", "describe": b"DESCRIBE", "source": b"SOURCE",
        "pri": b"PRI", "token": b"G!T", "bracket": b"G[T", "nul": b"GE\0T", "high": b"G\xc9T", "none": b"",
        "colon": b"GET:",
        "link": b"LINK", "report": b"REPORT", "search": b"SEARCH", "mkcol": b"MKCOL", "bind": b"BIND", "acl": b"ACL",
    }  # fmt: skip
    for name, method in methods.items():
        yield f"method {name}", method + b" /m HTTP/1.1\r\n" + HOST + b"\r\n"
    versions = {
        "1.0": b"HTTP/1.0", "1.2": b"HTTP/1.2", "1.9": b"HTTP/1.9", "0.9": b"HTTP/0.9", "2.0": b"HTTP/2.0",
        "3.0": b"HTTP/3.0",
        "1": b"HTTP/1", "1.1.1": b"HTTP/1.1.1", "1.10": b"HTTP/1.10", "01.1": b"HTTP/01.1", "lower": b"http/1.1",
        "mixed": b"HtTP/1.1", "none": b"", "words": b"HTTP/a.b", "comma": b"HTTP/1,1", "space": b"HTTP/ 1.1",
        "space behind": b"HTTP/1.1 ", "rtsp": b"RTSP/1.0", "ice": b"ICE/1.0", "https": b"HTTPS/1.1",
        "minus": b"HTTP/-1.1",
        "hex": b"HTTP/\xb1.1", "backslash": b"HTTP\\1.1",
    }  # fmt: skip
    for name, version in versions.items():
        yield f"version {name}", b"GET /v " + version + b"\r\n" + HOST + b"\r\n"
    yield "rtsp describe", b"DESCRIBE /v RTSP/1.0\r\n" + HOST + b"\r\n"
    yield "0.9", b"GET /v\r\n"
    yield "two spaces", b"GET  /v HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "two spaces before version", b"GET /v  HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "tabs", b"GET\t/v\tHTTP/1.1\r\n" + HOST + b"\r\n"
    yield "form feed", b"GET\x0c/v HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "no target", b"GET HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "http2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"
    yield "tls", b"\x16\x03\x01\0\x05\x01\0\0\x01\x00"
    yield "proxy header", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(b"/v")
    yield "ssh", b"SSH-2.0-OpenSSH_9.2\r\n"
    yield "answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    yield "nothing but crlf", b"\r\n\r\n"


def _exchanges() -> Iterator[tuple[str, bytes]]:
    expect = b"Expect: 100-continue"
    yield "pipeline", get(b"/1") + get(b"/2") + get(b"/3")
    yield "pipeline bodies", post(b"Content-Length: 5", body=b"hello") + chunks(WHOLE) + get(b"/3")
    yield "pipeline bad second", get(b"/1") + b"BAD\r\n\r\n" + SMUGGLED
    yield "pipeline behind close", get(b"/1", b"Connection: close") + SMUGGLED
    yield "pipeline head", b"HEAD /1 HTTP/1.1\r\n" + HOST + b"\r\n" + get(b"/2")
    yield "pipeline 1.0", b"GET /1 HTTP/1.0\r\n" + HOST + b"\r\n" + SMUGGLED
    yield "pipeline 1.0 keep-alive", b"GET /1 HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n" + get(b"/2")
    yield "body that looks like a request", post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED)
    yield "get body that looks like a request", get(b"/g", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED
    yield "expect", post(b"Content-Length: 5", expect, body=b"hello")
    yield "expect upper", post(b"Content-Length: 5", b"Expect: 100-CONTINUE", body=b"hello")
    yield "expect other", post(b"Content-Length: 5", b"Expect: 200-ok", body=b"hello")
    yield "expect twice", post(b"Content-Length: 5", expect, expect, body=b"hello")
    yield "expect without body", get(b"/e", expect)
    yield "expect in 1.0", post(b"Content-Length: 5", expect, body=b"hello", version=b"1.0")
    yield "expect obfuscated", post(b"Content-Length: 5", b"Expect: y 100-continue", body=b"hello")


def _hops() -> Iterator[tuple[str, bytes]]:
    websocket = (
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    yield "upgrade refused", get(b"/u", *websocket)
    yield "upgrade with body", post(*websocket, b"Content-Length: 5", body=b"hello")
    yield "upgrade with chunks", post(*websocket, CHUNKED.strip(), body=WHOLE)
    yield (
        "upgrade h2c",
        get(b"/u", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
    )
    yield "upgrade without connection", get(b"/u", b"Upgrade: websocket")
    yield "upgrade 1.0", b"GET /u HTTP/1.0\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    listed = (
        b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"X-Request-Id", b"Host", b"Content-Length",
        b"Cookie",
        b"Transfer-Encoding", b"X-authentik-username", b"Via", b"Authorization", b"X-Real-IP",
        b"close, X-Forwarded-For",
    )  # fmt: skip
    for name in listed:
        yield f"connection lists {name.decode()}", get(b"/c", b"Connection: " + name, b"Cookie: a=b")
    yield "connection malformed", get(b"/c", b"Connection: ,, ,;a")
    yield "connection twice", get(b"/c", b"Connection: keep-alive", b"Connection: close")
    yield "connection close upper", get(b"/c", b"Connection: CLOSE")
    yield "cookies two lines", get(b"/c", b"Cookie: a=b", b"Cookie: c=d")
    yield "managed", get(b"/c", b"X-authentik-username: admin", b"X-Forwarded-For: 1.2.3.4", b"Forwarded: for=1.2.3.4")
    yield (
        "hop by hop",
        get(
            b"/c", b"TE: trailers", b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Proxy-Authorization: a"
        ),
    )


def cases() -> Mapping[str, bytes]:
    """All of them, by names that are each there once."""
    parts = (_framing, _codings, _chunks, _lines, _targets, _starts, _exchanges, _hops)
    every = [case for part in parts for case in part()]
    found = dict(every)
    assert len(found) == len(every), "two cases have one name"
    return found
