"""The proxy protocol: forward auth for nginx, Traefik, Caddy and Envoy, sign-in at the edge, and the front door."""
