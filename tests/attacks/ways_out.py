"""Runs inside, as the agent: ways out of an allow list of good.test and *.wild.test, as JSON."""

import json
import socket
import ssl
import urllib.request

PROXY = ("127.0.0.1", 3128)


def say(data, where=PROXY):
    with socket.create_connection(where, timeout=15) as to:
        to.sendall(data if isinstance(data, bytes) else data.encode())
        answer = b""
        while piece := to.recv(65536):
            answer += piece
    return answer.decode(errors="replace")


def get(host, path="/", more="", said=None):
    return say(f"GET http://{host}{path} HTTP/1.1\r\nHost: {said or host}\r\n{more}\r\n")


def tunnel(target, name, talk=True):
    with socket.create_connection(PROXY, timeout=15) as to:
        to.sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        head = to.recv(4096).decode()
        if " 200 " not in head:
            return head
        if not talk:
            to.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
            return to.recv(4096).decode()
        context = ssl._create_unverified_context()
        with context.wrap_socket(to, server_hostname=name) as safe:
            safe.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := safe.recv(65536):
                answer += piece
    return answer.decode()


def straight(host, port, kind=socket.SOCK_STREAM, family=socket.AF_INET):
    with socket.socket(family, kind) as to:
        to.settimeout(5)
        to.connect((host, port))
        to.send(b"GET / HTTP/1.0\r\n\r\n")
        return to.recv(4096).decode()


def followed():
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"http": "http://127.0.0.1:3128"})
    )
    return opener.open("http://good.test/redirect", timeout=15).read().decode()


WAYS = {
    # what is to work
    "an allowed host": lambda: get("good.test"),
    "an allowed host by TLS": lambda: tunnel("good.test:443", "good.test"),
    "an allowed host with a last dot": lambda: get("good.test."),
    "a host below an allowed one": lambda: get("a.wild.test"),
    # what is not
    "another host": lambda: get("evil.test"),
    "another host by TLS": lambda: tunnel("evil.test:443", "evil.test"),
    "a longer name": lambda: get("good.test.evil.test"),
    "a name that ends like it": lambda: get("notgood.test"),
    "the wild name itself": lambda: get("wild.test"),
    "a user's name before the host": lambda: get("good.test@evil.test"),
    "another port": lambda: get("good.test:8080"),
    "an address": lambda: get("11.0.0.2"),
    "an address by CONNECT": lambda: tunnel("11.0.0.2:443", "good.test"),
    "an address as a number": lambda: get("184549378"),
    "an address in hexadecimal": lambda: get("0x0b000002"),
    "an address in octal": lambda: get("013.0.0.02"),
    "an IPv6 address": lambda: tunnel("[2600:ffff::2]:443", "good.test"),
    "an IPv6 address by GET": lambda: get("[2600:ffff::2]"),
    "a private address": lambda: get("private.wild.test"),
    "a private IPv6 address": lambda: get("private6.wild.test"),
    "a private address beside a public one": lambda: get("mixed.wild.test"),
    "a mapped private address": lambda: get("mapped.wild.test"),
    "a translated private address": lambda: get("nat64.wild.test"),
    "a tunnelled private address": lambda: get("sixtofour.wild.test"),
    "the address of instance metadata": lambda: get("metadata.wild.test"),
    "the host's loopback": lambda: get("loopback.wild.test"),
    "the host's loopback by IPv6": lambda: get("loopback6.wild.test"),
    "nowhere, which is the loopback": lambda: get("zero.wild.test"),
    "the host's outer address": lambda: get("host.wild.test"),
    "the host's outer address and port": lambda: get("service.test:4200"),
    "the proxy's own address": lambda: tunnel("127.0.0.1:3128", "good.test"),
    "the proxy's own name": lambda: tunnel("localhost:3128", "good.test"),
    "a redirect": followed,
    "another name inside the tunnel": lambda: tunnel("good.test:443", "evil.test"),
    "no name inside the tunnel": lambda: tunnel("good.test:443", None),
    "no TLS inside the tunnel": lambda: tunnel("good.test:443", None, talk=False),
    "another host in the header": lambda: get("good.test", said="evil.test"),
    "a second request behind the first": lambda: get(
        "good.test", more="\r\n" + "GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n"
    ),
    "a body of no known length": lambda: get("good.test", more="Transfer-Encoding: chunked\r\n"),
    "two lengths": lambda: get("good.test", more="Content-Length: 0\r\nContent-Length: 9\r\n"),
    "a folded header": lambda: get("good.test", more=" X: evil\r\n"),
    "a bare line feed": lambda: get("good.test", more="X: y\nHost: evil.test\r\n"),
    "a name with a zero byte": lambda: say(b"GET http://good.test\0.evil.test/ HTTP/1.1\r\n\r\n"),
    "another scheme": lambda: say("GET ftp://good.test/ HTTP/1.1\r\n\r\n"),
    "a head without end": lambda: say(b"GET http://good.test/ HTTP/1.1\r\n" + b"X: y\r\n" * 20000),
    # past the proxy
    "straight to a public address": lambda: straight("11.0.0.2", 80),
    "straight to the host": lambda: straight("11.0.0.1", 4200),
    "straight to the bridge": lambda: straight("172.17.0.1", 4200),
    "straight to the loopback's service": lambda: straight("127.0.0.1", 4200),
    "straight by IPv6": lambda: straight("2600:ffff::2", 80, family=socket.AF_INET6),
    "a question to a name server": lambda: straight("11.0.0.2", 53, kind=socket.SOCK_DGRAM),
    "a raw packet": lambda: straight("11.0.0.2", 1, kind=socket.SOCK_RAW),
    "a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).recv(9),
    "a host's socket without a name": lambda: straight(
        "\0grindstone-test", None, family=socket.AF_UNIX
    ),
}


def tried(way):
    try:
        return way()
    except Exception as error:  # noqa: BLE001 - whatever it is, it did not get out
        return f"{type(error).__name__}: {error}"


print(json.dumps({name: tried(way) for name, way in WAYS.items()}))
