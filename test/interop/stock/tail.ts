// Logs from afar: the tried program's `tail` on a connector of ours, and ours on the tried program's.

import assert from 'node:assert/strict';
import type { ChildProgram } from '../../support/child-program.ts';
import { until } from '../../support/wait.ts';
import { openVisitedOrigin } from '../visited-origin.ts';
import { Lab, registered } from './lab.ts';
import type { Scenario, Stage } from './scenario.ts';
import { visit } from './visit.ts';

export const tailScenarios: readonly Scenario[] = [
  { name: 'tail of a connector of ours', run: tailOurs },
  { name: 'our tail of it as the connector, HTTP/2', run: stage => tailTried(stage, 'http2') },
  { name: 'our tail of it as the connector, QUIC', run: stage => tailTried(stage, 'quic') },
];

/** A name that every resolver knows and the edge's certificate has. */
const managementHost = 'localhost';

interface TailLab {
  readonly lab: Lab;
  readonly token: string;
  /** Flags and environment of `tail`. */
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly origin: string;
}

async function openLab(stage: Stage): Promise<TailLab> {
  const lab = await Lab.open(stage, { edgeFlags: ['--management-host', managementHost] });
  const { token } = await lab.makeTunnel('app');
  const access = JSON.parse(await lab.operator('tail', 'token', 'app')) as { readonly token: string };
  const origin = await openVisitedOrigin(stage);
  return {
    lab,
    token,
    flags: ['--management-hostname', `${managementHost}:${lab.ports.https}`],
    env: { TUNNEL_MANAGEMENT_TOKEN: access.token, SSL_CERT_FILE: lab.caFile },
    origin: `http://127.0.0.1:${origin}`,
  };
}

/** Settles when the tail has shown a request; visits until then, for a stream takes a moment to begin. */
async function shows(lab: Lab, tail: ChildProgram, path: string): Promise<void> {
  const ended = (): boolean => tail.child.exitCode !== null || tail.child.signalCode !== null;
  await until(`the tail to show ${path}`, async () => {
    await visit(lab, 'app.localhost', path);
    return tail.output().includes(path) || ended();
  });
  assert.ok(tail.output().includes(path), `the tail ended:\n${tail.log()}${tail.output()}`);
}

async function tailOurs(stage: Stage): Promise<void> {
  const { env, flags, lab, origin, token } = await openLab(stage);
  const connector = lab.startOperator(
    ['tunnel', ...lab.edgeFlags(2), '--ha-connections', '2', '--url', origin, 'run'],
    { TUNNEL_TOKEN: token },
  );
  await registered(connector, 2);
  const tail = lab.start(['tail', ...flags], env);
  await shows(lab, tail, '/none?first');
  assert.match(tail.output(), /^\S+ debug http GET \S+\/none\?first \S+ \{.*\}$/m);
  assert.ok(!connector.log().includes('/none'), 'the connector’s own log has become talkative');
  // A second one of the same user takes its place.
  const second = lab.start(['tail', ...flags, '--event', 'http', '--level', 'debug', '--output', 'json'], env);
  await shows(lab, second, '/none?second');
  for (const line of second.output().trim().split('\n'))
    assert.equal((JSON.parse(line) as { event: string }).event, 'http');
  await until('the first tail to end', () => tail.child.exitCode !== null);
  assert.ok(!connector.log().includes(env.TUNNEL_MANAGEMENT_TOKEN ?? ''), 'the token is in the log');
  assert.equal(await second.stop(), 0);
}

async function tailTried(stage: Stage, protocol: 'http2' | 'quic'): Promise<void> {
  const { env, flags, lab, origin, token } = await openLab(stage);
  // A stock connector streams no line that its own log has no place for.
  const connector = await lab.run({ protocol, token, flags: ['--loglevel', 'debug', '--url', origin] });
  const tail = lab.startOperator(['tail', ...flags], env);
  await shows(lab, tail, '/none?tried');
  assert.match(tail.output(), /^\S+ debug http .*\/none\?tried/m);
  // The id is the one of `tunnel info`; another one is nobody's.
  const [, id = ''] = /Generated Connector ID: (\S+)/.exec(connector.log()) ?? [];
  const named = lab.startOperator(['tail', ...flags, '--connector-id', id], env);
  await shows(lab, named, '/none?named');
  const nobody = lab.startOperator(['tail', ...flags, '--connector-id', '11111111-2222-4333-8444-555555555555'], env);
  assert.equal(await nobody.exited, 1);
  assert.match(nobody.log(), /no cloudflared connector available or reachable/);
}
