// Where the edge listens as the name server of `_acme-challenge`: UDP and TCP on one port, open to the internet, so every address
// has a rate and every connection an end. What is answered is certificates/acme/challenge-dns.ts. Source: RFC 7766 §6.2.

import type { Socket } from 'node:net';
import { type ChallengeDns, maxQueryBytes } from '../certificates/acme/challenge-dns.ts';
import { AddressLimiter } from '../net/limits/address-limiter.ts';
import { createRateLimiter } from '../net/limits/rate-limiter.ts';
import { readExactly } from '../net/stream/read-exactly.ts';
import { openListener } from '../on-ramps/entrance/listener.ts';
import { openUdpListener } from '../on-ramps/entrance/udp-listener.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ListenAddress } from './options.ts';

/** An authority's resolvers ask some ten times from an address; forged addresses get no more than that. */
const queryLimits = { burst: 50, perSecond: 5 };
const connectionLimits = { total: 128, perAddress: 8 };
/** Of one TCP connection: a resolver asks once. */
const connectionMs = 5_000;
const maxQueriesOfConnection = 8;
/** Ports tried where any will do: the one that TCP was given may be taken for UDP. */
const portTries = 10;

export interface ChallengeDnsListener extends AsyncDisposable {
  /** Of both UDP and TCP. */
  readonly port: number;
}

/** Listens. Throws 'listen.failed'. */
export async function openChallengeDns(
  { host, port }: ListenAddress,
  dns: ChallengeDns,
  logger: Logger,
): Promise<ChallengeDnsListener> {
  const limiter = createRateLimiter(queryLimits);
  const connections = new AddressLimiter(connectionLimits);
  const accept = (socket: Socket): void => {
    const leave = connections.admit(socket.remoteAddress);
    if (leave === undefined) return void socket.destroy();
    socket.once('close', leave);
    void serve(socket, dns);
  };
  for (let tries = port === 0 ? portTries : 1; ; tries -= 1) {
    const tcp = await openListener({ host, port }, accept);
    try {
      const udp = await openUdpListener(
        { host, port: tcp.port, logger },
        {
          message: (message, from) => {
            if (from.port === 0 || !limiter.take(from.address)) return;
            const answer = dns.answer(message);
            if (answer !== undefined) from.reply(answer);
          },
          lost: () => undefined,
        },
      );
      const close = async (): Promise<void> => {
        udp.close();
        await tcp.close();
      };
      return { port: tcp.port, [Symbol.asyncDispose]: close };
    } catch (error) {
      await tcp.close();
      if (tries === 1) throw error;
    }
  }
}

async function serve(socket: Socket, dns: ChallengeDns): Promise<void> {
  const timer = setTimeout(() => socket.destroy(), connectionMs);
  try {
    for (let count = 0; count < maxQueriesOfConnection; count += 1) {
      const length = (await readExactly(socket, 2)).readUInt16BE(0);
      if (length > maxQueryBytes) break;
      const answer = dns.answer(await readExactly(socket, length));
      if (answer === undefined) break;
      socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]));
    }
  } catch {
    // The resolver has what it wanted, or went away.
  } finally {
    clearTimeout(timer);
    socket.destroySoon();
  }
}
