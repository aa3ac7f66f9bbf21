"""An aioquic endpoint driven by lines of JSON: commands come on stdin, events go to stdout.

python aioquic-peer.py server CERT KEY      prints {"event": "listening", "port": N}
python aioquic-peer.py client PORT CA NAME

Commands: {"op": "open"|"write", "stream": id, "data": hex, "fin": bool}, {"op": "reset"|"stop", "stream": id, "code": n},
{"op": "datagram", "data": hex}, {"op": "close", "code": n, "reason": text}, {"op": "ping"}.
"""

import asyncio
import json
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration

peers = []


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Peer(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        peers.append(self)

    def quic_event_received(self, event):
        if isinstance(event, events.HandshakeCompleted):
            tell("connected", alpn=event.alpn_protocol)
        elif isinstance(event, events.StreamDataReceived):
            tell("data", stream=event.stream_id, data=event.data.hex(), fin=event.end_stream)
        elif isinstance(event, events.StreamReset):
            tell("reset", stream=event.stream_id, code=event.error_code)
        elif isinstance(event, events.StopSendingReceived):
            tell("stop", stream=event.stream_id, code=event.error_code)
        elif isinstance(event, events.DatagramFrameReceived):
            tell("datagram", data=event.data.hex())
        elif isinstance(event, events.ConnectionTerminated):
            tell("closed", code=event.error_code, reason=event.reason_phrase)
        elif isinstance(event, events.PingAcknowledged):
            tell("pong")

    def command(self, op, stream=0, data="", fin=False, code=0, reason=""):
        quic = self._quic
        if op == "open":
            stream = quic.get_next_available_stream_id()
            tell("opened", stream=stream)
        if op in ("open", "write"):
            quic.send_stream_data(stream, bytes.fromhex(data), fin)
        elif op == "reset":
            quic.reset_stream(stream, code)
        elif op == "stop":
            quic.stop_stream(stream, code)
        elif op == "datagram":
            quic.send_datagram_frame(bytes.fromhex(data))
        elif op == "close":
            quic.close(error_code=code, reason_phrase=reason)
        elif op == "ping":
            quic.send_ping(1)
        self.transmit()


async def commands():
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        peers[-1].command(**json.loads(line))


async def main():
    role, first, second, *rest = sys.argv[1:]
    config = QuicConfiguration(
        is_client=role == "client", alpn_protocols=["argotunnel"], max_datagram_frame_size=65535, idle_timeout=30
    )
    if role == "server":
        config.load_cert_chain(first, second)
        server = await serve("127.0.0.1", 0, configuration=config, create_protocol=Peer)
        port = server._transport.get_extra_info("sockname")[1]
        tell("listening", port=port)
        await commands()
    else:
        config.load_verify_locations(second)
        config.server_name = rest[0]
        async with connect("127.0.0.1", int(first), configuration=config, create_protocol=Peer):
            await commands()


asyncio.run(main())
