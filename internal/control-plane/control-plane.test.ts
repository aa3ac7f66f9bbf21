// The control plane over real HTTP: through the derived client as our commands use it, and by hand as strangers do.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { LiveTunnels, liveClient, liveConnection } from '../../test/support/live-tunnels.ts';
import { type ApiClient, createApiClient } from '../api/client.ts';
import { requestQuickTunnel } from '../api/quick-tunnel-client.ts';
import { openCertificates } from '../certificates/open-certificates.ts';
import { parseToken } from '../credentials/tunnel-token.ts';
import { openPrivateNetworkApi } from '../features/private-network-api/open.ts';
import { openQuickTunnels, type QuickTunnelFeature } from '../features/quick-tunnels/open.ts';
import { createTag, createTunnelId, type TunnelId } from '../schema/api/id.ts';
import { authenticateTunnel } from '../store/authenticate-tunnel.ts';
import type { Store } from '../store/contract/store.ts';
import { createApiToken, createSecretBox, digestApiToken } from '../store/secret-box.ts';
import { openSqliteStore } from '../store/sqlite/thread/sqlite-store.ts';
import { silentLogger } from '../telemetry/logger.ts';
import { ensureLocalAccounts, type LocalAccounts } from './accounts.ts';
import { createControlPlane } from './control-plane.ts';

const edge = { addresses: ['192.0.2.1:7844'], caPin: 'ab'.repeat(32) };
const secret = randomBytes(32);
const tunnel_secret = secret.toString('base64');

describe('control plane', () => {
  let directory: string;
  let store: Store;
  let server: Server;
  let quick: QuickTunnelFeature;
  let accounts: LocalAccounts;
  let origin: string;
  let nowMs: number;
  let client: ApiClient;
  let account: string;
  let live: LiveTunnels;
  const pushed: unknown[] = [];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'postern-control-'));
    store = await openSqliteStore({ path: join(directory, 'edge.db') });
    nowMs = Date.parse('2026-01-02T03:04:05.000Z');
    live = new LiveTunnels();
    pushed.length = 0;
    const now = (): number => nowMs;
    const secrets = createSecretBox(randomBytes(32));
    const logger = silentLogger();
    accounts = await ensureLocalAccounts(store, {
      stateDir: directory,
      domain: 'example.com',
      apiUrl: 'http://x',
      now,
    });
    const describeEdge = () => edge;
    quick = await openQuickTunnels({
      store,
      secrets,
      live,
      accountTag: accounts.quick.tag,
      domain: 'example.com',
      logger,
      now,
      describeEdge,
      urlOf: hostname => `https://${hostname}`,
    });
    store.changes.subscribe(change => {
      if (change.kind !== 'configuration') return;
      const { tunnelId, version, config } = change.configuration;
      pushed.push([tunnelId, version, config]);
    });
    server = createServer(
      createControlPlane({
        store,
        secrets,
        live,
        describeEdge,
        logger,
        now,
        calls: [...quick.api, ...openPrivateNetworkApi({ store, now }).api],
      }),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    account = accounts.local.tag;
    client = clientWith(accounts.cert.apiToken);
  });
  afterEach(async () => {
    await quick[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    await store.close();
    rmSync(directory, { recursive: true });
  });

  const clientWith = (apiToken: string, perPage?: number): ApiClient =>
    createApiClient({ apiUrl: `${origin}/client/v4/`, apiToken, userAgent: 'test', perPage });
  /** A second account with a token of its own. */
  const otherAccount = async (): Promise<{ tag: string; client: ApiClient; zone: string }> => {
    const tag = createTag();
    const zone = createTag();
    const network = { id: randomUUID(), accountTag: tag, name: 'default', comment: '', isDefault: true };
    await store.accounts.create(
      { tag, name: 'other', createdAtMs: 0 },
      { id: zone, accountTag: tag, domain: 'other.com' },
      { ...network, createdAtMs: 0, deletedAtMs: undefined },
    );
    const token = createApiToken();
    await store.accounts.addToken({ digest: digestApiToken(token), accountTag: tag, label: '', createdAtMs: 0 });
    return { tag, zone, client: clientWith(token) };
  };
  const create = (name: string) => client.createTunnel({ params: { account }, body: { name, tunnel_secret } });
  const raw = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${origin}${path}`, {
      ...init,
      headers: { Authorization: `Bearer ${accounts.cert.apiToken}`, ...(init.headers as Record<string, string>) },
    });

  it('creates a tunnel whose token is enough to register', async () => {
    const tunnel = await create('web');
    assert.equal(tunnel.created_at, '2026-01-02T03:04:05.000Z');
    assert.equal(tunnel.deleted_at, null);
    const token = parseToken(tunnel.token);
    assert.deepEqual(token, {
      accountTag: account,
      tunnelId: tunnel.id,
      secret,
      edge: edge.addresses,
      caPin: edge.caPin,
    });
    assert.equal(await authenticateTunnel(store, token), 'accepted');
    const again = await client.getTunnelToken({ params: { account, id: tunnel.id } });
    assert.equal(again, tunnel.token);
    await assert.rejects(create('web'), { code: 'api.conflict', message: /code: 1013/ });
    await assert.rejects(create(randomUUID()), { message: /you cannot use UUIDs as tunnel names/ });
    await assert.rejects(client.createTunnel({ params: { account }, body: { name: 'x', tunnel_secret: 'c2hvcnQ=' } }), {
      code: 'api.invalid',
      message: /32 to 1024 bytes/,
    });
  });

  it('answers with the envelope and content type that clients insist on', async () => {
    const response = await raw(`/client/v4/accounts/${account}/cfd_tunnel?is_deleted=false&per_page=2`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.deepEqual(await response.json(), {
      success: true,
      errors: [],
      messages: [],
      result: [],
      result_info: { count: 0, page: 1, per_page: 2, total_count: 0, total_pages: 0 },
    });
    const missing = await raw(`/client/v4/accounts/${account}/cfd_tunnel/${createTunnelId()}`);
    assert.equal(missing.status, 404);
    assert.equal(missing.headers.get('content-type'), 'application/json');
    assert.deepEqual(await missing.json(), {
      success: false,
      errors: [{ code: 1002, message: 'Tunnel not found' }],
      messages: [],
      result: null,
    });
  });

  it('lists by filter, over as many pages as there are', async () => {
    for (let index = 0; index < 5; index += 1) {
      nowMs += 1000;
      await create(`web-${index}`);
    }
    await create('db');
    const names = async (query: object, api = client): Promise<string[]> =>
      (await api.listTunnels({ params: { account }, query })).map(tunnel => tunnel.name);
    const paged = clientWith(accounts.cert.apiToken, 2);
    assert.deepEqual(await names({ name_prefix: 'web' }, paged), ['web-4', 'web-3', 'web-2', 'web-1', 'web-0']);
    assert.deepEqual(await names({ name: 'db', is_deleted: false }), ['db']);
    assert.deepEqual(await names({ exclude_prefix: 'web' }), ['db']);
    assert.equal((await names({}, paged)).length, 6);
    await assert.rejects(names({ existed_at: 'yesterday' }), {
      code: 'api.invalid',
      message: /Error Parsing page 1: /,
    });
  });

  it('shows connections and cleans them up', async () => {
    const tunnel = await create('web');
    const clientId = randomUUID();
    const connection = {
      id: randomUUID(),
      openedAtMs: nowMs,
    };
    live.clients.set(tunnel.id as TunnelId, [
      liveClient({
        ...{ id: clientId, features: ['f'], version: '1', arch: 'linux_amd64', runAtMs: nowMs },
        connections: [liveConnection(connection)],
      }),
    ]);
    const shown = {
      colo_name: 'lhr01',
      id: connection.id,
      ...{ uuid: connection.id, client_id: clientId, client_version: '1', protocol: 'quic' },
      is_pending_reconnect: false,
      origin_ip: '192.0.2.9',
      opened_at: '2026-01-02T03:04:05.000Z',
    };
    assert.deepEqual((await client.getTunnel({ params: { account, id: tunnel.id } })).connections, [shown]);
    const [active] = await client.listConnections({ params: { account, id: tunnel.id } });
    assert.deepEqual(active, {
      id: clientId,
      features: ['f'],
      version: '1',
      arch: 'linux_amd64',
      conns: [shown],
      run_at: '2026-01-02T03:04:05.000Z',
      config_version: 0,
    });
    await client.cleanupConnections({ params: { account, id: tunnel.id }, query: { client_id: clientId } });
    await client.cleanupConnections({ params: { account, id: tunnel.id } });
    assert.deepEqual(live.disconnected, [
      [tunnel.id, clientId],
      [tunnel.id, undefined],
    ]);
  });

  it('deletes: not while connected or routed, unless told to', async () => {
    const tunnel = await create('web');
    const params = { account, id: tunnel.id };
    const id = tunnel.id as TunnelId;
    live.clients.set(id, [liveClient()]);
    await assert.rejects(client.deleteTunnel({ params }), { code: 'api.invalid', message: /1022.*active connections/ });
    live.clients.clear();
    await client.addIpRoute({ params: { account }, body: { network: '10.0.0.0/8', tunnel_id: id } });
    await assert.rejects(client.deleteTunnel({ params }), { message: /1022.*private routes/ });
    await client.deleteTunnel({ params, query: { cascade: true } });
    assert.deepEqual(live.disconnected, [[id, undefined]]);
    assert.notEqual((await client.getTunnel({ params })).deleted_at, null);
    await assert.rejects(client.deleteTunnel({ params }), { code: 'api.not-found' });
    await assert.rejects(client.getTunnelToken({ params }), { code: 'api.not-found' });
    assert.equal(await authenticateTunnel(store, parseToken(tunnel.token)), 'unknown');
    await create('web');
  });

  it('takes no name or comment that would disturb a terminal', async () => {
    const bodies: readonly (readonly [string, object])[] = [
      ['cfd_tunnel', { tunnel_secret: Buffer.alloc(32).toString('base64') }],
      ['teamnet/virtual_networks', {}],
    ];
    for (const [path, body] of bodies) {
      for (const name of ['a\nb', 'a\0', '\u001b[2J', 'a\u009b1m', 'a\u202eb', '\u2028']) {
        const sent = { method: 'POST', body: JSON.stringify({ ...body, name }) };
        const response = await raw(`/client/v4/accounts/${account}/${path}`, sent);
        assert.equal(response.status, 400, JSON.stringify(name));
      }
    }
    await assert.rejects(
      client.addNetwork({
        params: { account },
        body: { name: 'fine', comment: '\u001b]0;x', is_default_network: false },
      }),
      { code: 'api.invalid', message: /control characters/ },
    );
    await create('schöner Name 日本');
  });

  it('takes remote configurations and pushes them', async () => {
    const { id } = await create('web');
    const params = { account, id };
    assert.deepEqual(await client.getConfiguration({ params }), {
      ...{ tunnel_id: id, account_id: account },
      version: 0,
      config: null,
      source: 'local',
      created_at: null,
    });
    const config = {
      ingress: [
        { hostname: 'a.example.com', service: 'http://localhost:1', originRequest: { connectTimeout: 5, unknown: 1 } },
        { service: 'http_status:404' },
      ],
      'warp-routing': { connectTimeout: 5 },
    };
    const put = await client.putConfiguration({ params, body: { config } });
    assert.equal(put.version, 1);
    assert.deepEqual(put.config, config);
    assert.deepEqual(pushed, [[id, 1, JSON.stringify(config)]]);
    assert.equal((await client.putConfiguration({ params, body: { config: { ingress: [] } } })).version, 2);
    assert.equal((await client.getConfiguration({ params })).version, 2);
    const bad = { ingress: [{ service: 'file:///etc/passwd' }] };
    await assert.rejects(client.putConfiguration({ params, body: { config: bad } }), { message: /file/ });
    const refused = async (bad: object, message: RegExp): Promise<void> => {
      const body = JSON.stringify({ config: bad });
      const response = await raw(`/client/v4/accounts/${account}/cfd_tunnel/${id}/configurations`, {
        method: 'PUT',
        body,
      });
      assert.equal(response.status, 400);
      assert.match(await response.text(), message);
    };
    await refused({ ingress: [{ hostname: 'a', service: 'x' }] }, /last ingress rule must match all/);
    await refused({ ingress: [{}] }, /config\.ingress\.0\.service/);
    await refused({ originRequest: { connectTimeout: 1.5 } }, /whole number of seconds/);
    await refused({ ingress: 'x' }, /config\.ingress/);
    assert.equal(pushed.length, 2);
  });

  it('leads host names of the zone to tunnels', async () => {
    const one = await create('one');
    const two = await create('two');
    const zone = accounts.cert.zoneId;
    const route = (id: string, user_hostname: string, overwrite_existing = false) =>
      client.addRoute({ params: { zone, id }, body: { type: 'dns', user_hostname, overwrite_existing } });
    assert.deepEqual(await route(one.id, 'app'), { cname: 'new', name: 'app.example.com' });
    assert.deepEqual(await route(one.id, 'App.Example.com.'), { cname: 'unchanged', name: 'app.example.com' });
    await assert.rejects(route(two.id, 'app.example.com'), { message: /code: 1003.*--overwrite-dns/ });
    assert.deepEqual(await route(two.id, 'app', true), { cname: 'updated', name: 'app.example.com' });
    assert.deepEqual(await route(one.id, '*.example.com'), { cname: 'new', name: '*.example.com' });
    assert.deepEqual(await route(one.id, 'bücher'), { cname: 'new', name: 'xn--bcher-kva.example.com' });
    assert.deepEqual(await route(one.id, 'example.com'), { cname: 'new', name: 'example.com' });
    assert.equal((await store.hostnames.get('app.example.com'))?.tunnelId, two.id);
    for (const bad of ['a b', 'a/b', 'a?b', 'a:1', 'a@b', '-x', 'a..b', '*.*', '*', 'x'.repeat(64)]) {
      await assert.rejects(route(one.id, bad), { code: 'api.invalid', message: /not a valid host name/ });
    }
    const lb = { type: 'lb', lb_name: 'a', lb_pool: 'b' } as const;
    await assert.rejects(client.addRoute({ params: { zone, id: one.id }, body: lb }), { message: /no load balancers/ });
  });

  it('keeps private routes and networks', async () => {
    const { id } = await create('web');
    const params = { account };
    const add = (network: string, virtual_network_id?: string) =>
      client.addIpRoute({ params, body: { network, tunnel_id: id, comment: 'c', virtual_network_id } });
    const office = await client.addNetwork({ params, body: { name: 'office' } });
    await assert.rejects(client.addNetwork({ params, body: { name: 'office' } }), { code: 'api.conflict' });
    const wide = await add('10.0.0.0/8');
    await add('10.1.0.0/16');
    await add('10.1.0.0/16', office.id);
    await add('fd00::/8');
    await assert.rejects(add('10.1.0.0/16', office.id), {
      message: 'Failed to add route: code: 1014, reason: You already have a route defined for this exact IP subnet',
    });
    for (const wrong of ['10.1.2.3/16', '10.0.0.0/33'])
      await assert.rejects(add(wrong), { message: /Invalid network CIDR ".*": write it like 10\.0\.0\.0\/8/ });
    await assert.rejects(add('10.0.0.0/8', randomUUID()), { code: 'api.not-found' });
    const networks = async (query: object): Promise<string[]> =>
      (await client.listIpRoutes({ params, query })).map(route => route.network);
    assert.deepEqual(await networks({ network_subset: '10.1.0.0/16', network_superset: '10.1.0.0/16' }), [
      '10.1.0.0/16',
      '10.1.0.0/16',
    ]);
    assert.deepEqual(await networks({ network_superset: '10.1.2.0/24', virtual_network_id: office.id }), [
      '10.1.0.0/16',
    ]);
    assert.deepEqual((await networks({ network_subset: '10.0.0.0/8' })).length, 3);
    const lookup = async (ip: string, virtual_network_id?: string): Promise<string | undefined> =>
      (await client.getIpRoute({ params: { account, ip }, query: { virtual_network_id } }))?.network;
    assert.equal(await lookup('10.1.2.3'), '10.1.0.0/16');
    assert.equal(await lookup('10.2.2.3'), '10.0.0.0/8');
    assert.equal(await lookup('10.2.2.3', office.id), undefined);
    assert.equal(await lookup('fd00::1'), 'fd00::/8');
    assert.equal(await lookup('192.0.2.1'), undefined);
    await assert.rejects(lookup('nonsense'), { code: 'api.invalid' });
    await client.deleteIpRoute({ params: { account, id: wide.id ?? '' } });
    assert.equal(await lookup('10.2.2.3'), undefined);
    assert.deepEqual(await networks({ is_deleted: true }), ['10.0.0.0/8']);

    const target = { account, id: office.id };
    await assert.rejects(client.deleteNetwork({ params: target }), { message: /1030/ });
    const updated = await client.updateNetwork({ params: target, body: { name: 'hq', is_default_network: true } });
    assert.deepEqual([updated.name, updated.is_default_network], ['hq', true]);
    await assert.rejects(client.updateNetwork({ params: target, body: { is_default_network: false } }), {
      message: /1031/,
    });
    await assert.rejects(client.deleteNetwork({ params: target, query: { force: true } }), { message: /1031/ });
    const [former] = await client.listNetworks({ params, query: { is_default: false, is_deleted: false } });
    assert.equal(former?.name, 'default');
    const gone = await client.deleteNetwork({ params: { account, id: former?.id ?? '' }, query: { force: true } });
    assert.notEqual(gone.deleted_at, null);

    const hostname = await client.addHostnameRoute({ params, body: { hostname: 'DB.internal', tunnel_id: id } });
    assert.deepEqual(
      [hostname.hostname, hostname.tunnel_name, hostname.virtual_network_id],
      ['db.internal', 'web', office.id],
    );
    await assert.rejects(client.addHostnameRoute({ params, body: { hostname: 'db.internal', tunnel_id: id } }), {
      message: /1014/,
    });
    await assert.rejects(client.addHostnameRoute({ params, body: { hostname: '10.0.0.1', tunnel_id: id } }), {
      message: /not a valid host name/,
    });
    await client.deleteHostnameRoute({ params: { account, id: hostname.id } });
    assert.deepEqual(await client.listHostnameRoutes({ params, query: { is_deleted: false } }), []);
  });

  it('shows an account nothing of another', async () => {
    const tunnel = await create('web');
    const other = await otherAccount();
    const mine = { account, id: tunnel.id };
    const theirs = { account: other.tag, id: tunnel.id };
    for (const [params, code] of [
      [mine, 'api.unauthorized'],
      [theirs, 'api.not-found'],
    ] as const) {
      await assert.rejects(other.client.getTunnel({ params }), { code });
      await assert.rejects(other.client.getTunnelToken({ params }), { code });
      await assert.rejects(other.client.deleteTunnel({ params, query: { cascade: true } }), { code });
      await assert.rejects(other.client.listConnections({ params }), { code });
      await assert.rejects(other.client.cleanupConnections({ params }), { code });
      await assert.rejects(other.client.getConfiguration({ params }), { code });
      await assert.rejects(other.client.putConfiguration({ params, body: { config: {} } }), { code });
      const body = { network: '10.0.0.0/8', tunnel_id: tunnel.id };
      await assert.rejects(other.client.addIpRoute({ params: { account: params.account }, body }), { code });
    }
    const dns = { type: 'dns', user_hostname: 'a' } as const;
    const { zoneId } = accounts.cert;
    await assert.rejects(other.client.addRoute({ params: { zone: zoneId, id: tunnel.id }, body: dns }), {
      code: 'api.unauthorized',
    });
    await assert.rejects(other.client.addRoute({ params: { zone: other.zone, id: tunnel.id }, body: dns }), {
      code: 'api.not-found',
    });
    const [network] = await client.listNetworks({ params: { account } });
    const id = network?.id ?? '';
    await assert.rejects(other.client.updateNetwork({ params: { account: other.tag, id }, body: {} }), {
      code: 'api.not-found',
    });
    assert.deepEqual(await other.client.listTunnels({ params: { account: other.tag } }), []);
    assert.equal(live.disconnected.length, 0);
  });

  it('refuses wrong tokens, and too many of them', async () => {
    const wrong = clientWith(createApiToken());
    await assert.rejects(wrong.listTunnels({ params: { account } }), { code: 'api.unauthorized', message: /10000/ });
    const none = await fetch(`${origin}/client/v4/accounts/${account}/cfd_tunnel`);
    assert.equal(none.status, 403);
    for (let count = 0; count < 18; count += 1) await wrong.listTunnels({ params: { account } }).catch(() => undefined);
    await assert.rejects(wrong.listTunnels({ params: { account } }), { code: 'api.rate-limited' });
    await client.listTunnels({ params: { account } });
    nowMs += 60_000;
    await assert.rejects(wrong.listTunnels({ params: { account } }), { code: 'api.unauthorized' });
  });

  it('limits how often an address calls', async () => {
    let status = 200;
    for (let count = 0; count < 301 && status === 200; count += 1) {
      const response = await raw(`/client/v4/accounts/${account}/teamnet/virtual_networks`);
      status = response.status;
      await response.arrayBuffer();
    }
    assert.equal(status, 429);
  });

  it('refuses what it cannot route or read', async () => {
    const path = `/client/v4/accounts/${account}/cfd_tunnel`;
    const statusOf = async (target: string, init?: RequestInit): Promise<[number, number | undefined]> => {
      const response = await raw(target, init);
      const body = (await response.json()) as { errors: { code: number }[] };
      return [response.status, body.errors[0]?.code];
    };
    assert.deepEqual(await statusOf('/nowhere'), [404, 7003]);
    assert.deepEqual(await statusOf('/client/v4/accounts/%zz/cfd_tunnel'), [404, 7003]);
    assert.deepEqual(await statusOf(path, { method: 'PUT' }), [404, 7003]);
    assert.deepEqual(await statusOf(path, { method: 'POST', body: '{"name":' }), [400, 1001]);
    assert.deepEqual(await statusOf(path, { method: 'POST' }), [400, 1001]);
    assert.deepEqual(await statusOf(path, { method: 'POST', body: '{"tunnel_secret":"x"}' }), [400, 1001]);
    assert.deepEqual(await statusOf(`${path}?page=0`), [400, 1001]);
    assert.deepEqual(await statusOf(`${path}/nonsense`), [404, 1002]);
    assert.deepEqual(await statusOf('/tunnel'), [404, 7003]);
  });

  it('stops reading a body that is too large', async () => {
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const head = [
      `POST /client/v4/accounts/${account}/cfd_tunnel HTTP/1.1`,
      'Host: x',
      `Authorization: Bearer ${accounts.cert.apiToken}`,
      'Content-Length: 1000000000',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    const chunk = Buffer.alloc(64 * 1024, 0x20);
    const feed = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', feed);
    // The server ends the connection while we still write: that shows as a reset here.
    socket.on('error', () => socket.destroy());
    feed();
    let received = '';
    socket.on('data', data => {
      received += data.toString();
    });
    await new Promise(resolve => socket.once('close', resolve));
    assert.ok(socket.bytesWritten < 50_000_000);
    // The answer itself may be lost to the reset; if any of it came it must be the right one.
    if (received !== '') assert.match(received, /^HTTP\/1\.1 400 /);
  });

  it('gives quick tunnels to whoever asks, not too many', async () => {
    const ask = () => requestQuickTunnel({ serviceUrl: `${origin}/`, userAgent: 'test' });
    const made = await ask();
    assert.equal(made.hostname, `${made.name}.example.com`);
    assert.equal(made.postern_url, `https://${made.hostname}`);
    assert.deepEqual([made.postern_edge, made.postern_ca_pin], [edge.addresses, edge.caPin]);
    assert.equal(made.account_tag, accounts.quick.tag);
    const claim = { accountTag: made.account_tag, tunnelId: made.id, secret: Buffer.from(made.secret, 'base64') };
    assert.equal(await authenticateTunnel(store, claim), 'accepted');
    const form = await fetch(`${origin}/tunnel`, { method: 'POST', body: 'x' });
    assert.equal(form.status, 400);
    for (let count = 0; count < 9; count += 1) await ask();
    await assert.rejects(ask(), { code: 'api.rate-limited', message: /wait a minute/ });
  });

  it('is reached over HTTPS by who has the CA of the edge', async () => {
    const logger = silentLogger();
    await using certificates = await openCertificates({
      stateDir: directory,
      names: ['127.0.0.1'],
      visitorDomains: [],
      logger,
    });
    const [listener] = server.listeners('request') as [RequestListener];
    const secure = createSecureServer({ ...certificates.tls }, listener);
    secure.listen(0, '127.0.0.1');
    await once(secure, 'listening');
    const { caPem } = certificates;
    const apiUrl = `https://127.0.0.1:${(secure.address() as AddressInfo).port}/client/v4`;
    const options = { apiUrl, apiToken: accounts.cert.apiToken, userAgent: 'test' };
    try {
      assert.deepEqual(await createApiClient({ ...options, caPem }).listTunnels({ params: { account } }), []);
      await assert.rejects(createApiClient(options).listTunnels({ params: { account } }), {
        code: 'api.failed',
        message: /REST request failed: .*certificate.*name the CA of the edge with --cacert/,
      });
    } finally {
      secure.closeAllConnections();
      secure.close();
      await once(secure, 'close');
    }
  });

  it('keeps one working local credential over restarts', async () => {
    const path = join(directory, 'cert.pem');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const options = { stateDir: directory, domain: 'example.net', apiUrl: 'http://y' };
    const again = await ensureLocalAccounts(store, options);
    assert.deepEqual(again.cert, { ...accounts.cert, apiUrl: 'http://y' });
    assert.equal((await store.accounts.zone(again.cert.zoneId))?.domain, 'example.net');
    rmSync(path);
    const renewed = await ensureLocalAccounts(store, options);
    assert.notEqual(renewed.cert.apiToken, accounts.cert.apiToken);
    await clientWith(renewed.cert.apiToken).listTunnels({ params: { account } });
  });
});
