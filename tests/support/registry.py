"""A registry that holds the images a test puts there: as much of the OCI distribution protocol as pulls ask for."""

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_UNKNOWN = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'


@dataclass(kw_only=True)
class Registry:
    """A running registry; `host` begins the names of its images. `password` is asked for where there is one."""

    host: str
    authorization: str = ""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def put(self, name: str, tag: str, entrypoint: list[str]) -> str:
        """An image with nothing but an entry point, which never runs: its reference."""
        layer = _layer(tag)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Entrypoint": entrypoint},
                "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer))]},
            }
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._blob(name, _CONFIG, config),
            "layers": [self._blob(name, _LAYER, layer)],
        }
        content = json.dumps(manifest).encode()
        for reference in (tag, _digest(content)):
            self.files[f"/v2/{name}/manifests/{reference}"] = _MANIFEST, content
        return f"{self.host}/{name}:{tag}"

    def _blob(self, name: str, kind: str, content: bytes) -> dict[str, object]:
        self.files[f"/v2/{name}/blobs/{_digest(content)}"] = kind, content
        return {"mediaType": kind, "size": len(content), "digest": _digest(content)}


@contextmanager
def running_registry() -> Iterator[Registry]:
    """On this machine alone, where engines need no TLS."""
    registry = Registry(host="")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(is_head=False)

        def do_HEAD(self) -> None:
            self._answer(is_head=True)

        def log_message(self, *_: object) -> None:
            """Nothing: it isn't what the test is about."""

        def _answer(self, *, is_head: bool) -> None:
            if registry.authorization and self.headers.get("Authorization") != registry.authorization:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="test"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            is_known = self.path in registry.files or self.path == "/v2/"
            kind, content = registry.files.get(self.path, ("application/json", b"{}" if is_known else _UNKNOWN))
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", _digest(content))
            self.end_headers()
            if not is_head:
                self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        registry.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join(5)


def _digest(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


def _layer(word: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        file = tarfile.TarInfo("word")
        file.size = len(word)
        tar.addfile(file, io.BytesIO(word.encode()))
    return packed.getvalue()
