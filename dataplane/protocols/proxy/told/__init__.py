"""What a proxy outpost tells of requests: access log, decision log, traces. It is told of them, and judges nothing."""
