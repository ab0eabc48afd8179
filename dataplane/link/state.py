"""The state folder: the instance's identity, a lock, and the last good state, sealed.

The state is encrypted with a random key that is wrapped once per known token, so that a rotated token never locks
it out. `seal` and `unseal` are pure; the folder does the I/O. A file that can't be read is set aside, never a
crash: control has everything. A folder that can't be written costs a warning, not the service; each save tries anew
whatever it lacks. The folder may be somebody else's as well: its mode is ours to choose only where we made it, and
what lies in it is not trusted.
"""

import errno
import fcntl
import logging
import os
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dataplane.link.endings import Ending
from dataplane.link.held import Held, HeldResource
from dataplane.link.keys import token_fingerprint, wrapping_key
from dataplane.link.target import Credentials
from dataplane.link.tokens import SentToken

_MAGIC = b"garrison-outpost-state 1\n"
_LATER = re.compile(rb"garrison-outpost-state (\d{1,9})\n")
_NONCE = 12
_MAX_SET_ASIDE = 5
log = logging.getLogger("dataplane.link.state")


class StateBusy(Exception):
    """Another outpost process uses the folder."""


class StateUnreadable(Exception):
    """The state file is damaged, or sealed for a token that we don't have."""


@dataclass(frozen=True, slots=True)
class DirectoryKey:
    """What lies beside the state is sealed under, the directory and events: both are good while a token opens it."""

    secret: bytes = field(repr=False)


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """The last good state: what is needed to serve and to reach control again."""

    revision: int
    resources: tuple[HeldResource, ...]
    credentials: Credentials | None = None
    endings: tuple[Ending, ...] = ()
    directory_key: DirectoryKey | None = None
    tokens: tuple[SentToken, ...] = ()

    @property
    def held(self) -> Held:
        """The resources by key."""
        return Held(revision=self.revision, resources={resource.key: resource for resource in self.resources})


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    """The random key, wrapped per token fingerprint, and what it seals; each with its nonce in front."""

    keys: dict[str, bytes]
    sealed: bytes


def seal(saved: Saved, tokens: tuple[str, ...], random: Callable[[int], bytes]) -> bytes:
    """The state as bytes for the disk."""
    key = random(32)
    keys = {token_fingerprint(token): _encrypt(wrapping_key(token), key, random) for token in tokens}
    envelope = _Envelope(keys=keys, sealed=_encrypt(key, msgspec.msgpack.encode(saved), random))
    return _MAGIC + msgspec.msgpack.encode(envelope)


def unseal(data: bytes, token: str) -> Saved:
    """The state in the bytes. Raises StateUnreadable."""
    if not data.startswith(_MAGIC):
        later = _LATER.match(data)
        if later:
            raise StateUnreadable(f"it was written by a later version (format {later[1].decode()}, expected 1)")
        raise StateUnreadable("it is no state file")
    try:
        envelope = msgspec.msgpack.decode(data[len(_MAGIC) :], type=_Envelope)
        wrapped = envelope.keys.get(token_fingerprint(token))
        if wrapped is None:
            raise StateUnreadable("it belongs to another token")
        key = _decrypt(wrapping_key(token), wrapped)
        return msgspec.msgpack.decode(_decrypt(key, envelope.sealed), type=Saved)
    except (msgspec.MsgspecError, InvalidTag, ValueError, RecursionError) as error:
        raise StateUnreadable("it is damaged") from error


def _encrypt(key: bytes, plain: bytes, random: Callable[[int], bytes]) -> bytes:
    nonce = random(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, _MAGIC)


def _decrypt(key: bytes, data: bytes) -> bytes:
    return AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], _MAGIC)


class StateFolder:
    """One process's hold on a state folder. Raises StateBusy when another process has it.

    `failures` counts what did not reach the disk; `error` says what is wrong with it, empty while nothing is.
    """

    def __init__(self, path: Path, random: Callable[[int], bytes]) -> None:
        self._path = path
        self._random = random
        self._lock = -1
        self.failures = 0
        self.error = ""
        try:
            self._hold()
        except OSError as error:
            self._lament(error)
        self.instance = self._find_identity() or str(uuid.UUID(bytes=random(16), version=4))
        try:
            self._keep_identity()
        except OSError as error:
            self._lament(error)

    def close(self) -> None:
        """Let another process have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def load(self, token: str) -> Saved | None:
        """The last good state, or None; a file that can't be used is set aside."""
        file = self._path / "state"
        try:
            return unseal(file.read_bytes(), token)
        except FileNotFoundError:
            return None
        except StateUnreadable as error:
            self._set_aside(file, str(error))
        except OSError as error:
            log.warning("the last good state can't be read", extra={"file": str(file), "error": str(error)})
        return None

    def save(self, saved: Saved, tokens: tuple[str, ...]) -> bool:
        """Write the state atomically; False when the disk won't have it. The first of several failures is logged."""
        try:
            trouble = self._find_trouble()
            self._replace("state", seal(saved, tokens, self._random))
            self._keep_identity()
        except (OSError, StateBusy) as error:
            self._lament(error)
            return False
        if trouble:
            self._lament(trouble)
        elif self.error:
            self.error = ""
            log.info("the last good state is saved again", extra={"folder": str(self._path)})
        return True

    def _find_trouble(self) -> OSError | None:
        """What keeps us from having the lock: no reason to forget everything. Raises StateBusy, which is one."""
        try:
            self._hold()
        except OSError as error:
            return error
        return None

    def _hold(self) -> None:
        """Make the folder and have its lock, if it isn't so already. Raises OSError and StateBusy."""
        if self._lock >= 0 and self._has_lock():
            return
        self.close()
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._warn_of_others()
        self._lock = _open_lock(self._path / "lock")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            if error.errno == errno.EWOULDBLOCK:
                raise StateBusy(f"the state folder {self._path} is in use by another outpost process") from error
            raise

    def _has_lock(self) -> bool:
        """Whether our lock is that of the folder as it is now: it may have been deleted and made anew."""
        try:
            there = (self._path / "lock").stat()
        except OSError:
            return False
        ours = os.fstat(self._lock)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _warn_of_others(self) -> None:
        mode = self._path.stat().st_mode & 0o777
        if mode & 0o022:
            fields = {"folder": str(self._path), "mode": f"{mode:o}"}
            log.warning("others may write in the state folder: expected one of the outpost's own", extra=fields)

    def _lament(self, error: OSError | StateBusy) -> None:
        """Fallback: without a folder the outpost serves all the same, but what is new is forgotten when it ends."""
        self.failures += 1
        if not self.error:
            fields = {"folder": str(self._path), "error": str(error)}
            log.warning("the last good state can't be saved", extra=fields)
        self.error = f"the last good state can't be saved: {error}"

    def _find_identity(self) -> str | None:
        try:
            return str(uuid.UUID((self._path / "instance").read_text("ascii").strip()))
        except (OSError, ValueError):
            return None

    def _keep_identity(self) -> None:
        """Write down who we are, unless somebody is written down already."""
        if self._find_identity() is None:
            self._replace("instance", self.instance.encode() + b"\n")

    def _replace(self, name: str, data: bytes) -> None:
        temporary = self._path / f".{name}.new"
        # Left by a crash, or laid there by somebody else: in either case not to be written through.
        temporary.unlink(missing_ok=True)
        try:
            _write(temporary, data)
            temporary.replace(self._path / name)
        except OSError:
            # Half a file would only keep a full disk full.
            with suppress(OSError):
                temporary.unlink()
            raise
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _set_aside(self, file: Path, reason: str) -> None:
        fields = {"file": str(file), "reason": reason}
        try:
            target = self._free_name()
            file.replace(target)
            log.warning("the last good state is set aside", extra=fields | {"as": target.name})
        except OSError as error:
            log.warning("the last good state can't be used", extra=fields | {"error": str(error)})

    def _free_name(self) -> Path:
        """`state.damaged-<n>`; the last number is taken over and over, so that they don't fill the disk."""
        names = [self._path / f"state.damaged-{number}" for number in range(1, _MAX_SET_ASIDE + 1)]
        return next((name for name in names if not name.exists()), names[-1])


def _open_lock(path: Path) -> int:
    """A descriptor to lock by; for that, one may do that can only be read, as on a disk that takes no writes."""
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EACCES}:
            raise
        try:
            return os.open(path, os.O_RDONLY | flags)
        except OSError:
            raise error from None


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
