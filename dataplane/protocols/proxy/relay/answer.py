"""An upstream's answer as its client gets it, piece by piece: its head, how it is framed, when it is whole."""

import time
from typing import assert_never

from dataplane.io.stream import give_way
from dataplane.protocols.proxy.messages import Data, End, Interim, Request, ResponseHead, Upgraded, UpstreamHead
from dataplane.protocols.proxy.relay.exchange import Broken, Exchange, Failure, Outcome
from dataplane.protocols.proxy.relay.headers import interim_headers, length_for_client
from dataplane.protocols.proxy.relay.session import UpstreamSession
from dataplane.protocols.proxy.relay.upload import Upload
from dataplane.protocols.proxy.session import MAX_TURN, HttpSession
from dataplane.sansio import PeerError

_CONTINUE, _SWITCHING, _FIRST_FINAL = 100, 101, 200


class Answer:
    """One answer on its way."""

    def __init__(
        self, request: Request, session: HttpSession, exchange: Exchange, upload: Upload | None, outcome: Outcome
    ) -> None:
        self._request = request
        self._session = session
        self._exchange = exchange
        self._upload = upload
        self._outcome = outcome
        self._upstream = UpstreamSession(exchange.onward.method)
        self._rest = b""
        self.ended = False
        """Whether all of it is here."""
        self.switch: UpstreamHead | None = None
        """The head by which the upstream speaks something else from now on."""
        self.early = b""
        """What it has said in that already."""

    @property
    def reusable(self) -> bool:
        """Whether its connection may serve another exchange."""
        return self._upstream.reusable and not self._rest

    def take_rest(self) -> bytes:
        """What is here and was not translated yet, once others had their turn."""
        rest, self._rest = self._rest, b""
        if rest:
            give_way()
        return rest

    def translate(self, data: bytes) -> bytes:
        """What the client is to get for `data`, empty at the upstream's end. Raises Broken.

        Of many small chunks it is what a few of them come to: there is a rest then.
        """
        if self._upstream.fine and len(data) > MAX_TURN:
            data, self._rest = data[:MAX_TURN], data[MAX_TURN:]
        self._upstream.receive(data)
        out: list[bytes] = []
        try:
            for event in self._upstream.events():
                match event:
                    case Data(data=piece):
                        self._outcome.sent += len(piece)
                        out.append(self._session.send(event))
                    case End():
                        out.append(self._session.send(event))
                        self.ended = True
                    case UpstreamHead():
                        out.append(self._take_head(event))
                    case Upgraded(data=early):
                        self.early += early
                    case _:
                        assert_never(event)
        except PeerError as error:
            raise Broken(Failure.MALFORMED if data else Failure.RESET, error.reason) from error
        return b"".join(out)

    def close(self) -> None:
        """It is over."""
        self._upstream.close()

    def _take_head(self, head: UpstreamHead) -> bytes:
        if head.status == _SWITCHING:
            self.switch = head
            return b""
        return self._interim(head) if head.status < _FIRST_FINAL else self._head(head)

    def _head(self, head: UpstreamHead) -> bytes:
        upload = self._upload
        if upload is not None:
            if not upload.whole:  # what is left of the request can't be told from the next one
                self._session.closing = True
            if upload.allow():  # the client has not been asked for the body, and won't be
                upload.close()
        self._outcome.note(head.status, time.monotonic())
        headers = self._exchange.answer(head)
        return self._session.send(ResponseHead(status=head.status, headers=headers, length=length_for_client(head)))

    def _interim(self, head: UpstreamHead) -> bytes:
        """RFC 9110 15.2: not to HTTP/1.0; and 100 only to who waits for it."""
        if head.status == _CONTINUE:
            asks = self._upload is not None and self._upload.allow()
            return self._session.send(Interim(status=_CONTINUE)) if asks else b""
        if self._request.version != b"1.1":
            return b""
        return self._session.send(Interim(status=head.status, headers=interim_headers(head)))
