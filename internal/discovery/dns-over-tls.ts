// A small DNS-over-TLS client (RFC 7858): one connection a look-up, used when the machine's resolver fails to find the
// SRV records. Source: docs/protocol/edge-protocol.md §2.1.

import { randomInt } from 'node:crypto';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import type { Answer, DecodedPacket, RecordType } from 'dns-packet';
import { PosternError } from '../errors/error.ts';
import type { Dns, SrvRecord } from './dns.ts';

export interface DnsOverTlsOptions {
  /** IP address of the server. */
  readonly host: string;
  readonly port: number;
  /** Name sent as SNI and verified. */
  readonly serverName: string;
  /** PEM roots; undefined = the system's. */
  readonly ca?: readonly string[] | undefined;
  /** For the whole look-up: connect, handshake and answer. */
  readonly timeoutMs: number;
}

/** Cloudflare's public resolver, as docs/protocol/edge-protocol.md §2.1 names it. */
export const cloudflareDnsOverTls: DnsOverTlsOptions = {
  host: '1.1.1.1',
  port: 853,
  serverName: 'cloudflare-dns.com',
  timeoutMs: 15_000,
};

/** Look-ups reject with 'discovery.failed', also when there are no records. */
export function createDnsOverTls(options: DnsOverTlsOptions): Dns {
  return {
    srv: async name => {
      const found: SrvRecord[] = [];
      for (const answer of await query(options, name, 'SRV')) {
        if (answer.type !== 'SRV') continue;
        const { target, port, priority = 0, weight = 0 } = answer.data;
        found.push({ name: target, port, priority, weight });
      }
      return some(found, 'SRV', name);
    },
    txt: async name => {
      const found: string[] = [];
      for (const answer of await query(options, name, 'TXT')) {
        if (answer.type === 'TXT')
          found.push(
            [answer.data]
              .flat()
              .map(part => part.toString())
              .join(''),
          );
      }
      return some(found, 'TXT', name);
    },
    addresses: async host => {
      if (isIP(host) !== 0) return [host];
      const both = await Promise.all([query(options, host, 'A'), query(options, host, 'AAAA')]);
      const found = both.flat().flatMap(answer => (answer.type === 'A' || answer.type === 'AAAA' ? [answer.data] : []));
      return some(found, 'address', host);
    },
  };
}

function some<T>(found: readonly T[], kind: string, name: string): readonly T[] {
  if (found.length === 0) throw new PosternError('discovery.failed', `The ${kind} look-up of ${name} gave no records`);
  return found;
}

/** The two length bytes in front bound an answer to 65,535 bytes, so memory is bounded too. */
async function query(options: DnsOverTlsOptions, name: string, type: RecordType): Promise<readonly Answer[]> {
  // Loaded when first needed: most connectors never come here.
  const { decode, RECURSION_DESIRED, streamEncode } = await import('dns-packet');
  const id = randomInt(0x10000);
  const where = `DNS-over-TLS server ${options.host}:${options.port}`;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const socket = connect({
      host: options.host,
      port: options.port,
      servername: options.serverName,
      minVersion: 'TLSv1.2',
      ...(options.ca === undefined ? {} : { ca: [...options.ca] }),
    });
    const timer = setTimeout(() => fail(`did not answer within ${options.timeoutMs} ms`), options.timeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      socket.destroy();
    };
    const fail = (what: string, cause?: unknown): void => {
      settle();
      reject(new PosternError('discovery.failed', `The ${where} ${what} (${type} ${name})`, { cause }));
    };
    socket.once('secureConnect', () => {
      socket.write(streamEncode({ type: 'query', id, flags: RECURSION_DESIRED, questions: [{ type, name }] }));
    });
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size < 2) return;
      const all = Buffer.concat(chunks, size);
      const length = all.readUInt16BE(0);
      if (size < 2 + length) return;
      let answers: readonly Answer[];
      try {
        answers = readReply(decode(all.subarray(2, 2 + length)), id);
      } catch (error) {
        fail('sent an unusable answer', error);
        return;
      }
      settle();
      resolve(answers);
    });
    socket.on('error', error => fail('failed', error));
    socket.once('end', () => fail('closed before it answered'));
    socket.once('close', () => fail('closed before it answered'));
  });
}

function readReply(reply: DecodedPacket & { readonly rcode?: string }, id: number): readonly Answer[] {
  if (reply.type !== 'response' || reply.id !== id)
    throw new PosternError('protocol.malformed', 'Not the answer to our question');
  if (reply.rcode !== undefined && reply.rcode !== 'NOERROR' && reply.rcode !== 'NXDOMAIN') {
    throw new PosternError('discovery.failed', `The server answered ${reply.rcode}`);
  }
  return reply.answers ?? [];
}
