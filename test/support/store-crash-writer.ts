// A program that writes tunnels to the SQLite store named by its argument and prints the id of each once all its writes
// were acknowledged, until it is killed. Started by internal/store/sqlite/sqlite-store.test.ts.

import { randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { createTag, createTunnelId } from '../../internal/schema/api/id.ts';
import { openSqliteStore } from '../../internal/store/sqlite/thread/sqlite-store.ts';

const store = await openSqliteStore({ path: process.argv[2] ?? '' });
const accountTag = createTag();
await store.accounts.create(
  { tag: accountTag, name: accountTag, createdAtMs: 1 },
  { id: createTag(), accountTag, domain: 'example.com' },
  {
    ...{ id: randomUUID(), accountTag, name: 'default', comment: '', isDefault: true },
    ...{ createdAtMs: 1, deletedAtMs: undefined },
  },
);
const secret = { hash: new Uint8Array(48), sealed: new Uint8Array(60) };
for (;;) {
  const id = createTunnelId();
  await store.tunnels.create({ id, accountTag, name: `t-${id}`, secret, createdAtMs: 1 });
  const createdAtMs = 1;
  await store.hostnames.route(
    { hostname: `${id}.example.com`, tunnelId: id, accountTag, createdAtMs },
    { overwrite: false },
  );
  await store.tunnels.setConfiguration(accountTag, id, '{}', 1);
  const quick = createTunnelId();
  const hostname = `${quick}.example.com`;
  await store.quickTunnels.create(
    { id: quick, accountTag, name: quick, secret, createdAtMs },
    { tunnelId: quick, hostname, clientAddress: '192.0.2.1', createdAtMs },
  );
  writeSync(1, `${id}\n`);
}
