"""The stream's messages as our own values and back: with `reading` and `questions`, all that reads or makes protobuf.

`reading` has what resources hold, `questions` the unary calls. Messages of a newer control that we don't know are
`Unknown`, not errors.
"""

from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.message import DecodeError

from dataplane.link.held import ConfigPart, Held, HeldResource, LinkBroken, Rejection
from dataplane.link.messages import DirectoryPart, Drain, NewToken, Position, Pushed, Standing, Unknown, Vitals, Wanted
from dataplane.link.stamps import timestamp
from dataplane.link.target import Instance
from protos.outpost.v1 import directory_pb2, link_pb2, resources_pb2

PROTOCOL = 2
# Of a map of digests in one message: some 200 KiB. Control takes no message above 512 KiB.
PART_ENTRIES = 2_000
# Of the resources that are refused those are told that fit; the others are refused all the same.
REJECTED_BYTES = 256 * 1024
MOST_TEXT = 1_000
NO_STANDING = Standing()


def hello(
    instance: Instance, held: Held, now: float, standing: Standing = NO_STANDING
) -> Iterator[link_pb2.WatchRequest]:
    """Who we are and what we hold, in as many messages as that takes."""
    first, *rest = _parts(held.digests)
    yield link_pb2.WatchRequest(
        hello=link_pb2.Hello(
            instance=instance.uid,
            type=instance.type,
            hostname=instance.hostname,
            version=instance.version,
            build=instance.build,
            protocol=PROTOCOL,
            started=timestamp(instance.started),
            clock=timestamp(now),
            held=first,
            revision=held.revision,
            continued=bool(rest),
            directory=_position_message(standing.directory),
            environment_token=standing.environment_token,
            held_token=standing.held_token,
        )
    )
    for number, part in enumerate(rest, start=1):
        yield link_pb2.WatchRequest(held=link_pb2.Held(held=part, last=number == len(rest)))


def _parts(digests: Mapping[str, str]) -> list[dict[str, str]]:
    """At least one."""
    items = [*digests.items()]
    return [dict(items[at : at + PART_ENTRIES]) for at in range(0, max(len(items), 1), PART_ENTRIES)]


def _position_message(position: Position | None) -> link_pb2.DirectoryPosition | None:
    return link_pb2.DirectoryPosition(epoch=position.epoch, position=position.position) if position else None


def directory_applied(position: Position | None) -> link_pb2.WatchRequest:
    """The answer to a part of the directory: how far it is held now, which a part of a whole copy does not change."""
    return link_pb2.WatchRequest(directory_applied=link_pb2.DirectoryApplied(position=_position_message(position)))


def token_held(fingerprint: str) -> link_pb2.WatchRequest:
    """The answer to a new token, once it lies in the state."""
    return link_pb2.WatchRequest(token_held=link_pb2.TokenHeld(fingerprint=fingerprint))


def applied(revision: int, rejections: Iterable[Rejection]) -> link_pb2.WatchRequest:
    """The answer to a Config."""
    return link_pb2.WatchRequest(applied=link_pb2.Applied(revision=revision, rejected=_told(rejections)))


def _told(rejections: Iterable[Rejection]) -> Iterator[link_pb2.Rejection]:
    size = 0
    for each in rejections:
        rejection = link_pb2.Rejection(key=each.key, digest=each.digest, reason=each.reason[:MOST_TEXT])
        size += rejection.ByteSize()
        if size > REJECTED_BYTES:
            return
        yield rejection


def health(vitals: Vitals, now: float) -> link_pb2.WatchRequest:
    """One beat."""
    message = link_pb2.Health(
        clock=timestamp(now),
        workers=vitals.workers,
        memory_bytes=vitals.memory,
        load=vitals.load,
        last_error=vitals.last_error[:MOST_TEXT],
        draining=vitals.draining,
    )
    message.uptime.FromMilliseconds(int(vitals.uptime * 1000))
    return link_pb2.WatchRequest(health=message)


def pushed(message: link_pb2.WatchResponse) -> Pushed:
    """What control sent. Raises LinkBroken."""
    match message.WhichOneof("message"):
        case "config":
            return _part(message.config)
        case "digests":
            return Wanted(digests=dict(message.digests.wanted), continued=message.digests.continued)
        case "command" if message.command.WhichOneof("command") == "drain":
            return Drain()
        case "command" if message.command.WhichOneof("command") == "new_token":
            return NewToken(_token(message.command.new_token.secret))
        case "directory":
            return _directory_part(message.directory)
        case _:
            return Unknown()


def _token(secret: str) -> str:
    if not secret:
        raise LinkBroken("the new token is empty")
    return secret


def _directory_part(directory: link_pb2.Directory) -> DirectoryPart:
    if directory.complete and not directory.position.epoch:
        raise LinkBroken("a part that completes the directory says no position")
    position = Position(directory.position.epoch, directory.position.position) if directory.complete else None
    return DirectoryPart(
        position=position,
        begins=directory.begins,
        entries={_entry_key(data): data for data in directory.entries},
        removed=tuple(directory.removed),
    )


def _entry_key(data: bytes) -> str:
    try:
        key = directory_pb2.DirectoryEntry.FromString(data).key
    except DecodeError as error:
        raise LinkBroken(f"an entry of {len(data)} bytes is no outpost.v1.DirectoryEntry") from error
    if not key:
        raise LinkBroken("an entry of the directory has no key")
    return key


def _part(config: link_pb2.Config) -> ConfigPart:
    return ConfigPart(
        revision=config.revision,
        part=config.part,
        last=config.last,
        resources=tuple(held_resource(data) for data in config.resources),
        removed=tuple(config.removed),
    )


def held_resource(data: bytes) -> HeldResource:
    """The bytes of a resource under their key. Raises LinkBroken: without a key there is nothing to refuse."""
    try:
        message = resources_pb2.Resource.FromString(data)
    except DecodeError as error:
        raise LinkBroken(f"a resource of {len(data)} bytes is no outpost.v1.Resource") from error
    if not message.key:
        raise LinkBroken("a resource has no key")
    return HeldResource(key=message.key, digest=message.digest, data=data)


def is_revocation(held: HeldResource) -> bool:
    """Whether it ends or changes sessions: such a resource is never held back for the sake of others."""
    return resources_pb2.Resource.FromString(held.data).WhichOneof("body") in {"ended", "changed"}


def locally_ended(session: str, until: float) -> HeldResource:
    """A revocation that this outpost makes itself, while control's own is on its way.

    It ends the session whenever that was made: our clock may be behind control's, which dates sessions.
    """
    key = f"local/ended/session/{session}"
    ended = resources_pb2.Ended(session=session, before=timestamp(until), until=timestamp(until))
    message = resources_pb2.Resource(key=key, digest="local", ended=ended)
    return HeldResource(key=key, digest="local", data=message.SerializeToString())
