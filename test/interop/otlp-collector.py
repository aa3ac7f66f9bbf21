# A collector of traces with the decoder of another make, opentelemetry-proto of PyPI. Every span that comes is an event on
# stdout. What it cannot read it refuses, and says so.

import base64
import gzip
import http.server
import json
import sys
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# Statuses to answer with before spans are taken, one for each request.
refusals = [int(status) for status in sys.argv[1:]]
lock = threading.Lock()


def tell(event):
    with lock:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


def with_base64_ids(value):
    """OTLP's JSON has ids in hex where the mapping of protobuf has base64; all else is that mapping."""
    if isinstance(value, list):
        return [with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode() if key in ("traceId", "spanId", "parentSpanId") else with_base64_ids(item)
        for key, item in value.items()
    }


def decode(kind, body):
    if kind == "application/x-protobuf":
        return ExportTraceServiceRequest.FromString(body)
    if kind != "application/json":
        raise ValueError(kind)
    # Names and types that the schema does not have are errors.
    return json_format.ParseDict(with_base64_ids(json.loads(body)), ExportTraceServiceRequest())


def value_of(value):
    return getattr(value, value.WhichOneof("value"))


def attributes(pairs):
    return {pair.key: value_of(pair.value) for pair in pairs}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        encoding = self.headers.get("content-encoding")
        if refusals:
            tell({"event": "refused"})
            self.answer(refusals.pop(0), b"")
            return
        try:
            message = decode(self.headers["content-type"], gzip.decompress(body) if encoding == "gzip" else body)
        except Exception as error:
            tell({"event": "malformed", "text": repr(error)})
            self.answer(400, b"")
            return
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    tell(
                        {
                            "event": "span",
                            "path": self.path,
                            "kind": self.headers["content-type"],
                            "encoding": encoding,
                            "key": self.headers.get("x-key"),
                            "resource": attributes(resource.resource.attributes),
                            "scope": scope.scope.name,
                            "traceId": span.trace_id.hex(),
                            "spanId": span.span_id.hex(),
                            "parentId": span.parent_span_id.hex(),
                            "name": span.name,
                            "spanKind": span.kind,
                            "tookNs": span.end_time_unix_nano - span.start_time_unix_nano,
                            "startNs": span.start_time_unix_nano,
                            "attributes": attributes(span.attributes),
                            "events": [event.name for event in span.events],
                            "error": span.status.message if span.status.code == 2 else None,
                        }
                    )
        self.answer(200, b"{}")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
tell({"event": "listening", "port": server.server_port})
server.serve_forever()
