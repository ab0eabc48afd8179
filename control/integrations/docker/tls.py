"""TLS to an engine: what it must show, and what we show it. From PEM text; nothing of it stays on the disk."""

import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

from control.integrations.model import TargetAway


def client_context(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """A context that trusts `ca` alone (without it: whom this system trusts) and shows the pair, if there is one.

    Raises TargetAway ("bad_key") where one of them is unusable.
    """
    try:
        context = ssl.create_default_context(cadata=ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate and key:
            _show(context, certificate, key)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TargetAway("bad_key", f"certificate or key: {error}") from error
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # OpenSSL reads pairs from files alone. The folder is nobody else's (0700), and gone before anything is sent.
    with TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.pem"
        pair.touch(mode=0o600)
        pair.write_text(f"{key.strip()}\n{certificate.strip()}\n")
        # An encrypted key must fail instead of asking at the terminal.
        context.load_cert_chain(pair, password=lambda: "")
