"""A phone made of programs of others: zbar is its camera, oathtool its authenticator app."""

import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.peers_program import require

STEP = timedelta(seconds=30)


@dataclass
class Phone:
    """What an app keeps of the QR code it read. It shows one code per half minute, as apps do."""

    label: str
    issuer: str
    secret: str = field(repr=False)
    _next: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def code(self) -> str:
        """A code that was not shown before: of this step, or where that was, of the next one, which is taken early."""
        when = max(datetime.now(UTC), self._next)
        self._next = when + STEP
        command = [require("oathtool", "oathtool"), "--totp", "--base32", "--now", f"{when:%Y-%m-%d %H:%M:%S} UTC", "-"]
        shown = subprocess.run(command, input=self.secret, capture_output=True, text=True, check=True)
        return shown.stdout.strip()


def scan(picture: Path) -> Phone:
    """Read the one QR code of a picture, as a camera and an app do."""
    command = [require("zbarimg", "zbar-tools"), "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", str(picture)]
    read = subprocess.run(command, capture_output=True, text=True, check=True)
    (uri,) = read.stdout.splitlines()
    parts, values = urlsplit(uri), parse_qs(urlsplit(uri).query)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp"), uri
    return Phone(label=unquote(parts.path.removeprefix("/")), issuer=values["issuer"][0], secret=values["secret"][0])
