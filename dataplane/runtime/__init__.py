"""The outpost as processes: a supervisor that holds sockets and the link, and workers that serve the protocols."""
