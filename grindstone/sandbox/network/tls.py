"""The server's name in the first bytes of a TLS connection (RFC 8446, RFC 6066)."""

HANDSHAKE, CLIENT_HELLO, SERVER_NAME, HOST_NAME = 22, 1, 0, 0

LONGEST_HELLO = 16_384 + 5
"""Bytes of the one record that a client's hello is expected in."""


class NotTls(ValueError):  # noqa: N818
    """The bytes do not begin a TLS connection."""


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise NotTls("ends early")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def counted(self, size: int) -> "_Bytes":
        return _Bytes(self.take(self.number(size)))

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    @property
    def left(self) -> bool:
        return self._at < len(self._data)


def record_length(begun: bytes) -> int:
    """Return how many bytes a connection's first record has, its five-byte head included.

    Raises:
        NotTls: It is none that begins a handshake.
    """
    head = _Bytes(begun)
    if head.number(1) != HANDSHAKE or head.number(1) != 3:
        raise NotTls("no handshake")
    head.take(1)
    length = 5 + head.number(2)
    if length > LONGEST_HELLO:
        raise NotTls("too long")
    return length


def server_name(record: bytes) -> str:
    """Return the host that a client's hello asks for, in lower case; empty where none is named.

    Raises:
        NotTls: The record holds no client's hello.
    """
    whole = _Bytes(record)
    whole.take(5)
    if whole.number(1) != CLIENT_HELLO:
        raise NotTls("no hello")
    hello = whole.counted(3)
    hello.take(2 + 32)
    for size in (1, 2, 1):  # session, ciphers, compression
        hello.counted(size)
    if not hello.left:
        return ""
    extensions = hello.counted(2)
    while extensions.left:
        kind = extensions.number(2)
        body = extensions.counted(2)
        if kind == SERVER_NAME:
            names = body.counted(2)
            if names.number(1) != HOST_NAME:
                raise NotTls("another kind of name")
            return names.counted(2).rest().decode("ascii", "replace").lower().removesuffix(".")
    return ""
