"""The demo of `garrison serve --demo`: an application that shows what it was sent.

It is there twice: behind a reverse proxy that asks an outpost, and behind an outpost in mode proxy. For looking only:
the reverse proxy here does what nginx's auth_request does, so that nothing has to be installed.
"""
