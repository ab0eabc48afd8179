"""Chaos: a fleet under random faults while its configuration changes. Run by `make soak`, not by `make test`.

`python -m tests.soak --help` says what is done and what can be chosen.
"""
