"""A worker's program. Started by the supervisor with the descriptor of its pipe and the supervisor's process id.

Monkey-patching comes before everything else; then gRPC is made cooperative, with more hub threads than its default
of ten, which completion queues and name look-ups would use up. What the worker does is in `serving`.
"""

from gevent import monkey

monkey.patch_all()

HUB_THREADS = 100


def main() -> None:
    """Serve until the pipe closes or a drain is done; does not return."""
    # Imported after patching, so that they get patched sockets, threads and locks.
    import logging
    import os
    import sys

    import gevent
    from grpc.experimental.gevent import init_gevent  # type: ignore[import-not-found]  # grpc-stubs leaves it out

    from dataplane.runtime import serving

    gevent.get_hub().threadpool.maxsize = HUB_THREADS
    # Its own would print a bare trace between the JSON lines.
    gevent.get_hub().print_exception = serving.log_crash  # type: ignore[method-assign, assignment]  # no other way
    init_gevent()
    serving.run(int(sys.argv[1]), int(sys.argv[2]))
    logging.shutdown()
    # Not sys.exit: gRPC's threads are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
