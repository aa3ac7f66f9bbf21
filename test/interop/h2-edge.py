"""An edge of another make over HTTP/2: accepts TLS from a connector and is the HTTP/2 client on that connection. Driven by
lines of JSON: commands come on stdin, events go to stdout.

python h2-edge.py CERT KEY SETTINGS      SETTINGS: {"id": value}; prints {"event": "listening", "port": N}

Commands: {"op": "open", "headers": [[name, value]], "fin": bool}, {"op": "write", "stream": id, "data": hex, "fin": bool},
{"op": "reset", "stream": id, "code": n}, {"op": "settings", "values": {"id": value}}, {"op": "goaway", "last": id}. Those
without a stream go to the connection accepted last. Ids of streams tell connections apart: a million more for each.
"""

import asyncio
import json
import ssl
import sys

import h2.connection
import h2.config
import h2.events
import h2.exceptions
import h2.settings
from hyperframe.frame import GoAwayFrame

connections = []
STEP = 1_000_000


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def text_pairs(headers):
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]


def numbers(values):
    return {int(key): value for key, value in values.items()}


class Edge(asyncio.Protocol):
    def __init__(self, settings):
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            split_outbound_cookies=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.h2.decoder.max_header_list_size = 1 << 22

    def connection_made(self, transport):
        self.base = STEP * len(connections)
        connections.append(self)
        self.transport = transport
        self.h2.initiate_connection()
        self.flush()
        tell("connected")

    def connection_lost(self, error):
        tell("closed")

    def data_received(self, data):
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            tell("broken", reason=repr(error))
            self.flush()
            return
        for event in events:
            self.report(event)
        self.flush()

    def report(self, event):
        if isinstance(event, h2.events.RemoteSettingsChanged):
            tell("settings", values={int(key): change.new_value for key, change in event.changed_settings.items()})
        elif isinstance(event, h2.events.ResponseReceived):
            tell("response", stream=self.base + event.stream_id, headers=text_pairs(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            tell("data", stream=self.base + event.stream_id, data=event.data.hex())
        elif isinstance(event, h2.events.TrailersReceived):
            tell("trailers", stream=self.base + event.stream_id, headers=text_pairs(event.headers))
        elif isinstance(event, h2.events.StreamEnded):
            tell("end", stream=self.base + event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            tell("reset", stream=self.base + event.stream_id, code=int(event.error_code))
        elif isinstance(event, h2.events.ConnectionTerminated):
            tell("goaway", code=int(event.error_code))
            # h2 takes GOAWAY for the end of the connection; RFC 9113 section 6.8 lets running streams finish.
            self.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def do(self, command):
        op = command["op"]
        number = command.get("stream", 0) % STEP
        if op == "open":
            stream = self.h2.get_next_available_stream_id()
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in command["headers"]]
            self.h2.send_headers(stream, headers, end_stream=command["fin"])
            tell("opened", opened=self.base + stream)
        elif op == "write":
            self.h2.send_data(number, bytes.fromhex(command["data"]), end_stream=command["fin"])
        elif op == "reset":
            self.h2.reset_stream(number, command["code"])
        elif op == "settings":
            self.h2.update_settings(numbers(command["values"]))
        elif op == "goaway":
            frame = GoAwayFrame(0)
            frame.last_stream_id = command["last"]
            self.transport.write(self.h2.data_to_send() + frame.serialize())
        self.flush()


async def main():
    cert, key, settings = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Edge(numbers(json.loads(settings))), "127.0.0.1", 0, ssl=context)
    tell("listening", port=server.sockets[0].getsockname()[1])
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        edge = connections[command["stream"] // STEP] if "stream" in command else connections[-1]
        try:
            edge.do(command)
        except (h2.exceptions.StreamClosedError, h2.exceptions.NoSuchStreamError):
            # It ended while the command was on its way.
            pass


asyncio.run(main())
