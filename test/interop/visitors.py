# Python's own HTTP clients, and httpx with HTTP/2, as visitors: each check fails the script. Arguments: name, HTTP port,
# HTTPS port, file of the CA.

import asyncio
import http.client
import json
import socket
import ssl
import sys
import urllib.request

import httpx

name, http_port, https_port, ca = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
context = ssl.create_default_context(cafile=ca)
big = bytes(range(256)) * 4096

# The name is no real one: every connection goes to this machine.
resolve = socket.getaddrinfo


def here(host, *rest, **named):
    plain = host.decode() if isinstance(host, bytes) else host
    return resolve("127.0.0.1" if plain == name else host, *rest, **named)


socket.getaddrinfo = here


def with_http_client():
    for connection in (
        http.client.HTTPConnection(name, http_port, timeout=30),
        http.client.HTTPSConnection(name, https_port, timeout=30, context=context),
    ):
        # One connection for all of them.
        connection.request("POST", "/echo", body=big)
        assert connection.getresponse().read() == big
        connection.request("PUT", "/echo", body=iter([big, b"", big]), headers={"Transfer-Encoding": "chunked"}, encode_chunked=True)
        assert connection.getresponse().read() == big + big
        connection.request("HEAD", "/big")
        answer = connection.getresponse()
        assert (answer.read(), answer.getheader("Content-Length")) == (b"", str(len(big)))
        connection.request("GET", "/none")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
        connection.request("M-SEARCH", "/method")
        assert connection.getresponse().read() == b"M-SEARCH"
        connection.request("GET", "/caf%C3%A9", headers={"X-Bytes": "r\xe9sum\xe9".encode("latin-1")})
        answer = connection.getresponse()
        assert answer.getheader("X-Bytes") == "r\xe9sum\xe9", answer.getheader("X-Bytes")
        answer.read()
        connection.close()


def with_urllib():
    for url in (f"http://{name}:{http_port}", f"https://{name}:{https_port}"):
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({}))
        # urllib asks to close after every request.
        with opener.open(f"{url}/big", timeout=30) as answer:
            assert answer.read() == big
        request = urllib.request.Request(f"{url}/echo", data=b'{"a":1}', headers={"Content-Type": "application/json"})
        with opener.open(request, timeout=30) as answer:
            assert json.load(answer) == {"a": 1}
        with opener.open(f"{url}/moved", timeout=30) as answer:
            assert answer.read() == b"GET"


async def with_httpx():
    async with httpx.AsyncClient(http2=True, verify=context, timeout=30, trust_env=False) as client:
        url = f"https://{name}:{https_port}"
        answers = await asyncio.gather(*(client.post(f"{url}/echo", content=big[: 1000 * index]) for index in range(80)))
        for index, answer in enumerate(answers):
            assert (answer.http_version, answer.content) == ("HTTP/2", big[: 1000 * index])
        events = []
        async with client.stream("GET", f"{url}/events") as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    events.append(line[6:])
        assert events == ["1", "2", "3"], events
        # Left half-way. httpx resets no stream and gives no credit for what it leaves: a few only.
        for _ in range(5):
            async with client.stream("GET", f"{url}/endless") as answer:
                async for _ in answer.aiter_bytes():
                    break
        assert (await client.get(f"{url}/big")).content == big
        assert client.cookies.get("seen") is None
        client.cookies.set("a", "1")
        client.cookies.set("b", "2")
        assert sorted((await client.get(f"{url}/cookies")).text.split("; ")) == ["a=1", "b=2"]
    async with httpx.AsyncClient(http1=False, http2=True, timeout=30, trust_env=False) as client:
        answer = await client.get(f"http://{name}:{http_port}/method")
        assert (answer.http_version, answer.text) == ("HTTP/2", "GET")


with_http_client()
with_urllib()
asyncio.run(with_httpx())
print("all good")
