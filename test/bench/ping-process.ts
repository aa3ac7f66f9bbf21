// The edge of the ping benchmark, forked by ping.ts in the connector's namespace: a whole edge with a tunnel and a route,
// asked for echoes where its API asks when `postern ping` runs (which allows an address 30 calls a second, too few here).
// Arguments: a state directory, the private host's address.

import { randomBytes, randomUUID, X509Certificate } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { openEdge } from '../../internal/edge/edge.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { parsePrivateHost } from '../../internal/private-network/routes/private-host.ts';
import { createTunnelId } from '../../internal/schema/api/id.ts';
import { openSecretBox } from '../../internal/store/secret-box.ts';
import { silentLogger } from '../../internal/telemetry/logger.ts';
import { until } from '../support/wait.ts';
import type { PingCommand, PingEvent, PingResult } from './ping-command.ts';

const [stateDir = '', destination = ''] = process.argv.slice(2);
const timeoutMs = 1_000;
/** What ping sends by default. */
const data = new Uint8Array(56);

function tell(event: PingEvent): void {
  process.send?.(event);
}

const loopback = '127.0.0.1';
const edge = await openEdge({
  ...{ stateDir, domain: 'localhost', location: 'bench', names: [loopback], quickTunnels: false },
  ...{ connectors: { host: loopback, port: 0 }, api: { host: loopback, port: 0 } },
  ...{ publicHost: loopback, httpPort: undefined, httpsPort: undefined, gracePeriodMs: 0, logger: silentLogger() },
});
const { store, privateServices } = edge;
const account = await store.accounts.byName('local');
const network = account === undefined ? undefined : privateServices.echo.networkOf(account.tag, undefined);
const host = parsePrivateHost(destination);
if (network === undefined || host === undefined) throw new Error('The edge has no network, or the address is none');
const { accountTag } = network;
const echoRequest = {
  ...{ network, host, session: randomUUID(), sourceAddress: loopback },
  ...{ ttl: 64, data, timeoutMs },
};
let sequence = 0;

/** Makes a tunnel with a route to the host, as two API calls would; gives its token. */
async function makeTunnel(): Promise<string> {
  const [tunnelId, secret, createdAtMs] = [createTunnelId(), randomBytes(32), Date.now()];
  const sealed = (await openSecretBox(stateDir)).seal(tunnelId, secret);
  await store.tunnels.create({ id: tunnelId, accountTag, name: 'bench', secret: sealed, createdAtMs });
  await store.ipRoutes.create({
    ...{ id: randomUUID(), accountTag, networkId: network?.id ?? '', prefix: `${destination}/32`, tunnelId },
    ...{ comment: '', createdAtMs, deletedAtMs: undefined },
  });
  const caPin = spkiPin(new X509Certificate(edge.caPem));
  return encodeToken({ accountTag, tunnelId, secret, edge: [`${loopback}:${edge.connectorPort}`], caPin });
}

/** The round trip; undefined when no reply came. */
async function probe(): Promise<number | undefined> {
  sequence = (sequence + 1) & 0xffff;
  const { result } = await privateServices.echo.probe({ ...echoRequest, sequence });
  return result.kind === 'reply' ? result.rttMs : undefined;
}

async function run(command: PingCommand): Promise<PingResult> {
  const rttsMs: number[] = [];
  let lost = 0;
  const one = async (): Promise<void> => {
    const rtt = await probe();
    if (rtt === undefined) lost += 1;
    else rttsMs.push(rtt);
  };
  if (command.kind === 'gentle') {
    const running: Promise<void>[] = [];
    for (let index = 0; index < command.count; index += 1) {
      running.push(one());
      await delay(command.intervalMs);
    }
    await Promise.all(running);
  } else {
    const endMs = performance.now() + command.seconds * 1_000;
    const loop = async (): Promise<void> => {
      while (performance.now() < endMs) await one();
    };
    await Promise.all(Array.from({ length: command.atOnce }, loop));
  }
  return { rttsMs, lost };
}

process.on('message', (command: PingCommand) => void run(command).then(result => tell({ event: 'result', result })));
process.on('disconnect', () => process.exit(0));
tell({ event: 'ready', token: await makeTunnel() });
await until('an echo through the tunnel', async () => (await probe()) !== undefined);
tell({ event: 'reachable' });
