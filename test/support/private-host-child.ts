// A private host for tests, in a namespace of its own: on each of its addresses an HTTP server, a UDP echo and a DNS
// resolver that say who they are; the resolver gives its own address for every name. Arguments: a label, then the addresses. Writes `ready` once everything listens.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { type Answer, decode, encode, type Packet } from 'dns-packet';

export const privatePorts = { http: 80, echo: 7, dns: 53 } as const;

const [label = '', ...addresses] = process.argv.slice(2);

function resolve(query: Packet, address: string): Buffer {
  const [question] = query.questions ?? [];
  const name = question?.name ?? '';
  const answers: Answer[] = [];
  if (question?.type === 'TXT') answers.push({ type: 'TXT', name, data: `${label} ${address}` });
  if (question?.type === 'A' && !address.includes(':')) answers.push({ type: 'A', name, ttl: 60, data: address });
  return encode({ ...query, type: 'response', additionals: [], answers });
}

for (const address of addresses) {
  const type = address.includes(':') ? 'udp6' : 'udp4';
  const http = createHttpServer((_request, response) => response.end(`${label} ${address}`));
  http.listen(privatePorts.http, address);
  const echo = createSocket(type);
  echo.on('message', (message, from) => echo.send(message, from.port, from.address));
  echo.bind(privatePorts.echo, address);
  const dns = createSocket(type);
  dns.on('message', (message, from) => dns.send(resolve(decode(message), address), from.port, from.address));
  dns.bind(privatePorts.dns, address);
  const dnsTcp = createServer(socket => {
    let pending = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        const reply = resolve(decode(pending.subarray(2, end)), address);
        socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 0xff]), reply]));
        pending = pending.subarray(end);
      }
    });
  });
  dnsTcp.listen(privatePorts.dns, address);
  await Promise.all([http, echo, dns, dnsTcp].map(server => once(server, 'listening')));
}
process.stdout.write('ready\n');
