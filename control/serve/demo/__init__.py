"""The demo of `garrison serve --demo`: an application that shows what it was sent, behind a reverse proxy.

For looking only: the reverse proxy here does what nginx's auth_request does, so that nothing has to be installed.
"""
