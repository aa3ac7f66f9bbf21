"""The service manager's end of sd_notify: binds a datagram socket and prints each datagram as a line of JSON.

Argument: a path, or a name that begins with @ for an abstract socket.
"""
import json
import socket
import sys

name = sys.argv[1]
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("\0" + name[1:] if name.startswith("@") else name)
print(json.dumps("bound"), flush=True)
while True:
    print(json.dumps(server.recv(4096).decode()), flush=True)
