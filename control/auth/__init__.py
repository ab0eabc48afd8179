"""Who somebody is and what they may do: passwords, people, sessions, OpenID Connect and the gate outposts ask.

Sign-in and decisions are made here for every protocol; the views of control.web and the services of control.link
are thin callers. Knows neither HTTP nor gRPC.
"""
