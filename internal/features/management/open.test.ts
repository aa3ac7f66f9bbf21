// The management host, through a real edge and a real connector: who may ask, and the log stream's rules. With stock programs:
// test/interop/stock/tail.ts.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { EdgeWorld, type KnownTunnel } from '../../../test/support/edge-world.ts';
import { until, within } from '../../../test/support/wait.ts';
import { parseOriginCert } from '../../credentials/origin-cert.ts';
import { LogTap } from '../../telemetry/log-tap.ts';
import { createLogger, type Logger, setLogLevel } from '../../telemetry/logger.ts';
import { type ManagementGrant, openManagementTokens } from './access-tokens.ts';

const host = 'postern-management.example.test';

type Connect = EdgeWorld['connect'];
type Tunnel = Awaited<ReturnType<Connect>>;
type RemoteAccess = NonNullable<NonNullable<Parameters<Connect>[2]>['remote']>;

interface Lab {
  readonly world: EdgeWorld;
  readonly tunnel: KnownTunnel;
  readonly connector: Tunnel;
  readonly logger: Logger;
  /** What the connector's own log has. */
  readonly own: string[];
  issue(grant?: Partial<ManagementGrant>, at?: number): Promise<string>;
  ask(path: string, token: string, more?: string): Promise<{ status: number; text: string }>;
  open(token: string, headers?: Readonly<Record<string, string>>): WebSocket;
}

async function openLab(t: TestContext, remote: Partial<RemoteAccess> = {}): Promise<Lab> {
  const world = await EdgeWorld.open(t);
  const tunnel = await world.makeTunnel();
  const tap = new LogTap();
  const own: string[] = [];
  const logger = createLogger({
    ...{ level: 'info', format: 'json', tap, destination: { write: (line: string) => void own.push(line) } },
  });
  const access = { host: 'management.argotunnel.com', label: 'front', diagnostics: true, tap, ...remote };
  const connector = await world.connect(tunnel, [{ service: 'http_status:204' }], { logger, remote: access });
  const urlOf = (path: string, token: string, more = ''): string =>
    `://127.0.0.1:${world.httpPort}${path}?access_token=${token}${more}`;
  return {
    ...{ world, tunnel, connector, logger, own },
    issue: async (grant = {}, at) => {
      const tokens = await openManagementTokens(world.stateDir, at === undefined ? undefined : () => at);
      const { id: tunnelId, accountTag } = tunnel;
      const [{ id: tokenId } = assert.fail()] = await world.edge.store.accounts.tokens(accountTag);
      return tokens.issue({ tunnelId, accountTag, tokenId, actor: 'alice', resource: 'logs', ...grant }, 'https://x');
    },
    ask: async (path, token, more) => {
      // Fetch would set another Host.
      const { request } = await import('undici');
      const answer = await request(`http${urlOf(path, token, more)}`, { headers: { host } });
      return { status: answer.statusCode, text: await answer.body.text() };
    },
    open: (token, headers = {}) => {
      const socket = new WebSocket(`ws${urlOf('/logs', token)}`, { headers: { Host: host, ...headers } });
      socket.on('error', () => undefined);
      t.after(() => socket.terminate());
      return socket;
    },
  };
}

interface StreamedLog {
  readonly level: string;
  readonly message: string;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Starts a stream and waits until it shows a line that is logged for that. */
async function start(lab: Lab, socket: WebSocket, filters?: object): Promise<StreamedLog[]> {
  const logs: StreamedLog[] = [];
  socket.on('message', data => {
    logs.push(...(JSON.parse(String(data)) as { logs: StreamedLog[] }).logs);
  });
  if (socket.readyState !== WebSocket.OPEN) await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'start_streaming', ...(filters === undefined ? {} : { filters }) }));
  await until('the stream to begin', () => {
    lab.logger.error('is it there?');
    return logs.length > 0;
  });
  return logs;
}

const closeOf = async (socket: WebSocket): Promise<string> => {
  const [code, reason] = (await within('the close', once(socket, 'close'))) as [number, Buffer];
  return `${code} ${reason}`;
};

describe('the management host', () => {
  it('opens to a token of its tunnel, for what the token is for, while it is good', async t => {
    const lab = await openLab(t);
    const { accountTag, id } = lab.tunnel;
    const [logs, admin, details] = await Promise.all([
      lab.issue(),
      lab.issue({ resource: 'admin' }),
      lab.issue({ resource: 'host_details' }),
    ]);
    assert.equal((await lab.ask('/ping', logs)).status, 200);
    const told = JSON.parse((await lab.ask('/host_details', details)).text) as Record<string, unknown>;
    assert.equal(told.hostname, 'custom:front');
    assert.equal(told.ip, '127.0.0.1');
    assert.match((await lab.ask('/metrics', admin)).text, /cloudflared_tunnel_ha_connections 1/);
    for (const [path, token, status] of [
      ['/ping', '', 400],
      ['/metrics', logs, 403],
      ['/logs', details, 403],
      ['/host_details', logs, 403],
      ['/ping', `${logs.slice(0, -4)}AAAA`, 401],
      ['/ping', `${Buffer.from('{"alg":"none"}').toString('base64url')}.${logs.split('.')[1]}.`, 401],
      ['/ping', 'x'.repeat(5_000), 401],
      ['/ping', await lab.issue({}, Date.now() - 2 * 3_600_000), 401],
      // Nobody can be asked of a tunnel that is not there, or is another account's.
      ['/ping', await lab.issue({ tunnelId: '11111111-2222-4333-8444-555555555555' }), 530],
      ['/ping', await lab.issue({ accountTag: accountTag.replace(/./g, '0') }), 530],
      ['/nothing', admin, 404],
    ] as const)
      assert.equal((await lab.ask(path, token)).status, status, `${path} ${token.slice(0, 20)}`);
    const [one] = lab.world.edge.registry.connectionsOf(id);
    assert.equal((await lab.ask('/ping', logs, `&connector_id=${one?.clientId}`)).status, 200);
    assert.equal((await lab.ask('/ping', logs, '&connector_id=11111111-2222-4333-8444-555555555555')).status, 530);
    const text = JSON.stringify([lab.world.lines, lab.own]);
    assert.ok(!text.includes(logs.split('.')[2] ?? 'none'), 'a token is in a log');
  });

  it('is closed to whose API token was revoked, and cuts what runs', async t => {
    const lab = await openLab(t);
    const { accountTag } = lab.tunnel;
    const { accounts } = lab.world.edge.store;
    const maker = await accounts.addToken({
      accountTag,
      label: 'x',
      createdAtMs: Date.now(),
      digest: Buffer.alloc(32, 7),
    });
    const token = await lab.issue({ tokenId: maker.id });
    const [socket, other] = [lab.open(token), lab.open(await lab.issue({ actor: 'bob' }))];
    await Promise.all([once(other, 'open'), start(lab, socket)]);
    assert.equal((await lab.ask('/ping', token)).status, 200);
    await accounts.revokeToken(accountTag, maker.id);
    await within('the cut', once(socket, 'close'));
    assert.equal((await lab.ask('/ping', token)).status, 401);
    assert.equal(other.readyState, WebSocket.OPEN);
  });

  it('gives tokens out by the API to the tunnel’s account alone, and its name stays the edge’s', async t => {
    const lab = await openLab(t);
    const cert = parseOriginCert(await readFile(join(lab.world.stateDir, 'cert.pem'), 'utf8'));
    const call = async (method: string, path: string, body?: unknown) => {
      const answer = await fetch(`${lab.world.edge.apiUrl}${path}`, {
        method,
        headers: { authorization: `Bearer ${cert.apiToken}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return (await answer.json()) as { result: unknown; errors: { message: string }[] };
    };
    const base = `/accounts/${cert.accountId}/cfd_tunnel`;
    const { result } = await call('POST', `${base}/${lab.tunnel.id}/management/logs`);
    assert.equal((await lab.ask('/ping', String(result))).status, 200);
    const claims = JSON.parse(Buffer.from(String(result).split('.')[1] ?? '', 'base64url').toString()) as {
      iss: string;
    };
    assert.equal(claims.iss, `https://${host}:${lab.world.httpsPort}`);
    assert.match(
      (await call('POST', `${base}/${lab.tunnel.id}/management/all`)).errors[0]?.message ?? '',
      /must be one of/,
    );
    const other = `${base}/11111111-2222-4333-8444-555555555555/management/logs`;
    assert.match((await call('POST', other)).errors[0]?.message ?? '', /not found/);
    // Whoever routes that very name to a tunnel gets none of its requests, which carry tokens of every account.
    await call('PUT', `/zones/${cert.zoneId}/tunnels/${lab.tunnel.id}/routes`, {
      ...{ type: 'dns', user_hostname: host, overwrite_existing: true },
    });
    assert.equal((await lab.ask('/', '')).status, 400);
  });

  it('offers no metrics where they are switched off', async t => {
    const lab = await openLab(t, { diagnostics: false });
    assert.equal((await lab.ask('/metrics', await lab.issue({ resource: 'admin' }))).status, 404);
  });

  it('streams lines by level, kind and share, and leaves the connector’s own log alone', async t => {
    const lab = await openLab(t);
    const socket = lab.open(await lab.issue());
    const logs = await start(lab, socket, { level: 'debug' });
    lab.logger.debug({ event: 1, path: '/a' }, 'a request');
    await until('the debug line', () => logs.some(({ message }) => message === 'a request'));
    const { level, event, fields } = logs.find(({ message }) => message === 'a request') ?? assert.fail();
    assert.deepEqual({ level, event, fields }, { level: 'debug', event: 'http', fields: { path: '/a' } });
    assert.ok(!lab.own.some(line => line.includes('"debug"')), 'the own log has a debug line');
    socket.send(JSON.stringify({ type: 'start_streaming', filters: { level: 'warn', events: ['tcp'] } }));
    await until('the new filters', () => {
      lab.logger.warn({ event: 2 }, 'tcp');
      return logs.at(-1)?.event === 'tcp';
    });
    const before = logs.length;
    lab.logger.info({ event: 2 }, 'too low');
    lab.logger.error({ event: 1 }, 'another kind');
    lab.logger.error({ event: 2 }, 'last');
    await until('the last line', () => logs.at(-1)?.message === 'last');
    assert.ok(logs.slice(before).every(({ event: kind }) => kind === 'tcp'));
    socket.send(JSON.stringify({ type: 'start_streaming', filters: { sampling: 0 } }));
    socket.close();
    await closeOf(socket);
    await until('the level to fall back', () => lab.logger.level === 'info');
  });

  it('has one stream: a new one of the same user takes over, another user’s is refused', async t => {
    const lab = await openLab(t);
    const first = lab.open(await lab.issue());
    await start(lab, first);
    const other = lab.open(await lab.issue({ actor: 'bob' }));
    await once(other, 'open');
    other.send('{"type":"start_streaming"}');
    assert.equal(await closeOf(other), '4002 limit exceeded for streaming sessions');
    const firstClosed = closeOf(first);
    const second = lab.open(await lab.issue());
    await start(lab, second);
    assert.match(await firstClosed, /^1000 /);
    const gone = closeOf(second);
    await lab.connector.stop(2_000);
    assert.match(await gone, /^1001 /);
  });

  it('ends a stream when its token expires', async t => {
    const lab = await openLab(t);
    const socket = lab.open(await lab.issue({}, Date.now() - 3_600_000 + 2_000));
    await start(lab, socket);
    assert.equal(await closeOf(socket), '1008 access_token has expired');
  });

  it('goes on streaming, and no longer than the stream, whatever level a reload sets', async t => {
    const lab = await openLab(t);
    const socket = lab.open(await lab.issue());
    const logs = await start(lab, socket, { level: 'debug' });
    setLogLevel(lab.logger, 'warn');
    lab.logger.debug('after the reload');
    await until('the debug line', () => logs.some(({ message }) => message === 'after the reload'));
    lab.logger.info('too low');
    lab.logger.warn('high enough');
    socket.close();
    await closeOf(socket);
    await until('the level of the reload', () => lab.logger.level === 'warn');
    const shown = lab.own.map(line => (JSON.parse(line) as { message: string }).message);
    assert.ok(shown.includes('high enough') && !shown.includes('too low') && !shown.includes('after the reload'));
  });

  it('closes what breaks its rules, and what is idle', async t => {
    const lab = await openLab(t, { times: { idleMs: 300, pingMs: 50 } });
    const token = await lab.issue();
    for (const [text, expected] of [
      ['{"type":"stop_streaming"}', '4001 expected start streaming as first event'],
      ['not JSON', '1003 malformed event'],
      ['{"type":"start_streaming","filters":{"level":"loud"}}', '1003 malformed event'],
      [`{"type":"${'x'.repeat(8_000)}"}`, '1009 event too large'],
      [undefined, '4003 session was idle for too long'],
    ] as const) {
      const socket = lab.open(token);
      await once(socket, 'open');
      const closed = closeOf(socket);
      if (text !== undefined) socket.send(text);
      else await within('a ping', once(socket, 'ping'));
      assert.equal(await closed, expected);
    }
    const foreign = lab.open(token, { Origin: 'https://evil.example' });
    const [, answer] = (await once(foreign, 'unexpected-response')) as [unknown, { statusCode: number }];
    assert.equal(answer.statusCode, 403);
  });
});
