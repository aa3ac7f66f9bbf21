// Configuration that the edge pushes to the connectors of a tunnel.

import assert from 'node:assert/strict';
import { until } from '../../support/wait.ts';
import { openVisitedOrigin } from '../visited-origin.ts';
import { Lab } from './lab.ts';
import type { Scenario, Stage } from './scenario.ts';
import { checkVisits, visit } from './visit.ts';

export const configurationScenarios: readonly Scenario[] = (['http2', 'quic'] as const).map(protocol => ({
  name: `a pushed configuration over ${protocol}`,
  run: stage => push(stage, protocol),
}));

async function push(stage: Stage, protocol: 'http2' | 'quic'): Promise<void> {
  const lab = await Lab.open(stage);
  const { host, token } = await lab.makeTunnel('remote');
  const origin = await openVisitedOrigin(stage);
  const [tunnel] = (await lab.api('GET', 'cfd_tunnel?name=remote')) as { readonly id: string }[];
  const put = (...ingress: readonly object[]): Promise<unknown> =>
    lab.api('PUT', `cfd_tunnel/${tunnel?.id}/configurations`, { config: { ingress } });
  // What is there before the connector comes reaches it when it registers, what changes later is pushed.
  await put({ service: 'http_status:451' });
  const connector = await lab.run({ protocol, token });
  await until('the first configuration', async () => (await visit(lab, host, '/')).status === 451);
  await put(
    { hostname: host, path: '^/gone$', service: 'http_status:410' },
    { service: `http://127.0.0.1:${origin}`, originRequest: { connectTimeout: 3 } },
  );
  await until('the second configuration', async () => (await visit(lab, host, '/gone')).status === 410);
  await checkVisits(lab, host);
  assert.equal(connector.child.exitCode, null);
}
