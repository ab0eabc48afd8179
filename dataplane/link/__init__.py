"""The outpost's half of the link: enrolment, the stream to control, unary calls, and the last good state on disk.

Only this package knows protobuf and gRPC; `translate` is the one place where messages become our own values.
"""
