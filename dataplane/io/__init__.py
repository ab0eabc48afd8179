"""Sockets: any sans-I/O session onto TCP and TLS, and the way out to upstreams. gevent lives here and in the worker."""
