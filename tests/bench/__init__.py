"""`make bench`: what Garrison does on this machine, beside a peer, in one run; writes docs/benchmarks.md."""
