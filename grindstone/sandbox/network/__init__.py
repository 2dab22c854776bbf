"""The only way out of a sandbox that has one: a proxy of ours behind a door of its own.

A sandbox has a network namespace with nothing but its own loopback: it reaches neither the
host, nor another sandbox, nor the network. With `allowlist` and `public` a listening socket is
opened in that namespace and handed out (`doors`), and what is said to it is looked at, decided
and recorded here (`rules`, `proxy`, `tls`).
"""
