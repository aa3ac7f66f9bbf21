// A DNS server on loopback for tests: UDP, TCP and, with a certificate, TLS, all answering from one table.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, type Packet, streamEncode } from 'dns-packet';
import type { TestCertificate } from './test-ca.ts';

export interface TestDnsOptions {
  /** Records by `TYPE name`, e.g. `SRV _x._tcp.example`; replaceable while running. Anything else is NXDOMAIN. */
  readonly records: Map<string, Answer[]>;
  readonly tls?: TestCertificate;
  /** Never answer: for time limits. */
  readonly silent?: boolean;
}

export interface TestDns {
  /** For UDP and TCP. */
  readonly port: number;
  /** For TLS; 0 without a certificate. */
  readonly tlsPort: number;
  /** Questions seen, `transport TYPE name`. */
  readonly seen: string[];
  close(): Promise<void>;
}

export async function openTestDns(options: TestDnsOptions): Promise<TestDns> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();

  const answer = (query: Packet, transport: string): Packet | undefined => {
    const [question] = query.questions ?? [];
    if (question === undefined) return undefined;
    const key = `${question.type} ${question.name}`;
    seen.push(`${transport} ${key}`);
    if (options.silent === true) return undefined;
    const answers = options.records.get(key);
    return {
      type: 'response',
      id: query.id,
      flags: AUTHORITATIVE_ANSWER | (answers === undefined ? 3 : 0),
      questions: [question],
      answers: answers ?? [],
    };
  };

  const serve = (transport: string) => (socket: Socket) => {
    sockets.add(socket);
    let pending: Buffer = Buffer.alloc(0);
    socket.on('data', chunk => {
      pending = Buffer.concat([pending, chunk as Buffer]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const length = pending.readUInt16BE(0);
        const reply = answer(decode(pending.subarray(2, 2 + length)), transport);
        pending = pending.subarray(2 + length);
        if (reply !== undefined) socket.write(streamEncode(reply));
      }
    });
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };

  const tcp = createServer(serve('tcp'));
  const port = await listen(tcp);
  const udp = createSocket('udp4');
  udp.on('message', (message, from) => {
    const reply = answer(decode(message), 'udp');
    if (reply !== undefined) udp.send(encode(reply), from.port, from.address);
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  const tls = options.tls === undefined ? undefined : createTlsServer({ ...options.tls }, serve('tls'));
  tls?.on('tlsClientError', (_error, socket) => socket.destroy());
  const tlsPort = tls === undefined ? 0 : await listen(tls);

  return {
    port,
    tlsPort,
    seen,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      const servers = tls === undefined ? [tcp] : [tcp, tls];
      await Promise.all([
        ...servers.map(server => new Promise(resolve => server.close(resolve))),
        new Promise<void>(resolve => {
          udp.close(resolve);
        }),
      ]);
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
