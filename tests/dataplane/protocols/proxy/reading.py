"""Reading HTTP with a session of ours, for tests."""

from dataplane.protocols.proxy.messages import Data, Event
from dataplane.protocols.proxy.session import HttpSession


def read(raw: bytes, *, closed: bool = False) -> list[Event]:
    """All events of these bytes on a connection of their own."""
    session = HttpSession()
    session.receive(raw)
    events = list(session.events())
    if closed:
        session.receive(b"")
        events += session.events()
    return events


def joined(events: list[Event]) -> list[Event]:
    """Neighbouring pieces of a body as one: how bytes are cut is not part of the message."""
    whole: list[Event] = []
    for event in events:
        if whole and isinstance(event, Data) and isinstance(whole[-1], Data):
            whole[-1] = Data(whole[-1].data + event.data)
        else:
            whole.append(event)
    return whole
