"""The sender's own HTTP: answers in pieces, answers that never end, connections that close at the wrong moment."""

import asyncio

import pytest

from engage.messaging.wire import Broken, Unreachable, Wire, parsed

OK = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"


@pytest.mark.parametrize(("answer", "body"), [(OK, b"{}"), (CHUNKED, b"abcde")])
def test_an_answer_in_any_pieces_is_the_same_answer(answer, body):
    for cut in range(len(answer)):
        assert parsed(bytearray(answer[:cut]), ended=False) is None
    reply = parsed(bytearray(answer), ended=False)
    assert reply.body == body


def test_an_answer_without_a_length_ends_with_the_connection():
    answer = bytearray(b"HTTP/1.0 200 OK\r\n\r\nabc")
    assert parsed(answer, ended=False) is None
    assert parsed(answer, ended=True).body == b"abc"
    assert parsed(bytearray(b"HTTP/1.1 204 No Content\r\n\r\n"), ended=False).body == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_answer_is_said_to_be_none(answer):
    with pytest.raises(ValueError):
        parsed(bytearray(answer), ended=False)


def test_half_an_answer_is_none():
    for cut in (0, 10, len(OK) - 1):
        with pytest.raises(ValueError):
            parsed(bytearray(OK[:cut]), ended=True)


class Server:
    """Answers each connection's requests one after the other with what it was given; None closes instead."""

    def __init__(self, *answers):
        self.answers, self.requests, self.connections = list(answers), [], 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        self.connections += 1
        while True:
            head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
            if not head:
                return writer.close()
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            self.requests.append(head + await reader.readexactly(length))
            answer = self.answers.pop(0)
            if answer is None:
                return writer.close()
            writer.write(answer)
            if answer == "":
                await asyncio.sleep(5)


def against(*answers, act, seconds=0.5, keep=10.0):
    async def run():
        async with Server(*answers) as server:
            wire = Wire(f"{server.url}/api", {"Accept": "application/json"}, seconds=seconds, keep=keep)
            try:
                return server, await act(wire)
            finally:
                await wire.close()

    return asyncio.run(run())


def test_a_request_as_it_is_written():
    server, reply = against(OK, act=lambda wire: wire.post("/Messages.json", "To=%2B1&Body=a+b"))
    assert (reply.status, reply.body) == (201, b"{}")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /api/Messages.json HTTP/1.1"
    assert lines[1].startswith("Host: 127.0.0.1:")
    assert lines[2:] == ["Accept: application/json", "Content-Length: 16"]
    assert body == b"To=%2B1&Body=a+b"


def test_a_connection_is_kept_and_an_old_one_is_let_go():
    async def three(wire):
        return [(await wire.post("/", "")).status for _ in range(3)]

    server, _ = against(OK, OK, OK, act=three)
    assert server.connections == 1
    server, _ = against(OK, OK, OK, act=three, keep=0)
    assert server.connections == 3
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    server, _ = against(closing, OK, OK, act=three)
    assert server.connections == 2


@pytest.mark.parametrize("answer", [None, OK[:-1], b"nonsense\r\n\r\n"])
def test_once_it_is_written_nothing_is_proven_and_nothing_is_tried_again(answer):
    async def one(wire):
        with pytest.raises((Broken, TimeoutError)):
            await wire.post("/", "a=b")
        return len(wire.idle)

    server, kept = against(answer, OK, act=one, seconds=0.2)
    assert (len(server.requests), kept) == (1, 0)


def test_where_nobody_listens_no_byte_was_written():
    async def run():
        wire = Wire("http://127.0.0.1:9", {}, seconds=0.5, keep=10)
        with pytest.raises(Unreachable):
            await wire.post("/", "")

    asyncio.run(run())


def test_a_certificate_nobody_vouches_for_is_refused_before_a_byte_of_the_request(tmp_path):
    import ssl
    import subprocess

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    heard = []

    async def serve(reader, writer):
        heard.append(await reader.read(100))

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        wire = Wire(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", {}, seconds=1, keep=10)
        with pytest.raises(Unreachable):
            await wire.post("/", "a=b")
        server.close()

    asyncio.run(run())
    assert heard in ([], [b""])
