"""The Gate of the fake control: it notes what outposts ask, and refuses what a test has it refuse."""

import threading

import grpc

from protos.outpost.v1 import gate_pb2, gate_pb2_grpc

Refusal = tuple[grpc.StatusCode, str] | None


class Calls:
    """What was asked, and how it is answered."""

    def __init__(self) -> None:
        self.refuse_calls: Refusal = None
        self.refuse_attempts: Refusal = None
        self.clock: int | None = None
        self.refused = 0
        self.redeemed: list[gate_pb2.RedeemCodeRequest] = []
        self.attempts: list[gate_pb2.AuthenticateRequest] = []
        invalid = gate_pb2.Denied(reason=gate_pb2.Denied.REASON_INVALID_CREDENTIALS)
        self.verdict = gate_pb2.AuthenticateResponse(denied=invalid)
        self.changes: list[gate_pb2.ChangePasswordRequest] = []
        self.changed = gate_pb2.ChangePasswordResponse(changed=gate_pb2.PasswordChanged())
        self.ended: list[gate_pb2.EndSessionRequest] = []
        self.reports: list[gate_pb2.ReportRequest] = []
        self.takes_reports = threading.Event()
        """Until it is set, who reports waits."""
        self.takes_reports.set()
        self.reporting = 0

    @property
    def events(self) -> list[gate_pb2.OutpostEvent]:
        """What outposts reported, as often as they did."""
        return [event for report in self.reports for event in report.events]


class Gate(gate_pb2_grpc.GateServicer):
    """Answers as it is told to."""

    def __init__(self, control: Calls) -> None:
        self._control = control

    def RedeemCode(  # noqa: N802  gRPC names it
        self, request: gate_pb2.RedeemCodeRequest, context: grpc.ServicerContext
    ) -> gate_pb2.RedeemCodeResponse:
        if self._control.refuse_calls:
            self._control.refused += 1
            context.abort(*self._control.refuse_calls)
        self._control.redeemed.append(request)
        refusal = gate_pb2.Refusal(reason=gate_pb2.Refusal.REASON_INVALID_CODE)
        answer = gate_pb2.RedeemCodeResponse(refusal=refusal)
        if self._control.clock is not None:
            answer.clock.FromSeconds(self._control.clock)
        return answer

    def Authenticate(  # noqa: N802  gRPC names it
        self, request: gate_pb2.AuthenticateRequest, context: grpc.ServicerContext
    ) -> gate_pb2.AuthenticateResponse:
        refusal = self._control.refuse_attempts or self._control.refuse_calls
        if refusal:
            context.abort(*refusal)
        self._control.attempts.append(request)
        return self._control.verdict

    def ChangePassword(  # noqa: N802  gRPC names it
        self, request: gate_pb2.ChangePasswordRequest, context: grpc.ServicerContext
    ) -> gate_pb2.ChangePasswordResponse:
        if self._control.refuse_calls:
            self._control.refused += 1
            context.abort(*self._control.refuse_calls)
        self._control.changes.append(request)
        return self._control.changed

    def EndSession(  # noqa: N802  gRPC names it
        self, request: gate_pb2.EndSessionRequest, context: grpc.ServicerContext
    ) -> gate_pb2.EndSessionResponse:
        if self._control.refuse_calls:
            self._control.refused += 1
            context.abort(*self._control.refuse_calls)
        self._control.ended.append(request)
        return gate_pb2.EndSessionResponse()

    def Report(  # noqa: N802  gRPC names it
        self, request: gate_pb2.ReportRequest, context: grpc.ServicerContext
    ) -> gate_pb2.ReportResponse:
        if self._control.refuse_calls:
            self._control.refused += 1
            context.abort(*self._control.refuse_calls)
        self._control.reporting += 1
        self._control.takes_reports.wait(30)
        self._control.reports.append(request)
        return gate_pb2.ReportResponse()
