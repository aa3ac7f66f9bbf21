import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createTag, createTunnelId } from '../schema/api/id.ts';
import { authenticateTunnel } from './authenticate-tunnel.ts';
import { createApiToken, createSecretBox, digestApiToken, matchesSecret, openSecretBox } from './secret-box.ts';
import { openSqliteStore } from './sqlite/thread/sqlite-store.ts';

describe('secret box', () => {
  const box = createSecretBox(randomBytes(32));
  const id = createTunnelId();
  const secret = randomBytes(32);

  it('keeps a secret checkable and, with the key, readable', () => {
    const stored = box.seal(id, secret);
    assert.ok(matchesSecret(secret, stored.hash));
    assert.ok(!matchesSecret(randomBytes(32), stored.hash));
    assert.ok(!matchesSecret(secret.subarray(1), stored.hash));
    assert.ok(!matchesSecret(new Uint8Array(0), stored.hash));
    assert.deepEqual(Buffer.from(box.open(id, stored)), secret);
    for (const part of [stored.hash, stored.sealed]) assert.equal(Buffer.from(part).indexOf(secret), -1);
    assert.notDeepEqual(box.seal(id, secret), stored);
  });

  it('opens nothing for another tunnel, under another key, or damaged', () => {
    const stored = box.seal(id, secret);
    assert.throws(() => box.open(createTunnelId(), stored), { code: 'store.failed' });
    assert.throws(() => createSecretBox(randomBytes(32)).open(id, stored), { code: 'store.failed' });
    for (let index = 0; index < stored.sealed.byteLength; index += 1) {
      const sealed = Uint8Array.from(stored.sealed);
      sealed[index] = (sealed[index] ?? 0) ^ 1;
      assert.throws(() => box.open(id, { ...stored, sealed }), { code: 'store.failed' });
      assert.throws(() => box.open(id, { ...stored, sealed: stored.sealed.subarray(0, index) }), {
        code: 'store.failed',
      });
    }
  });

  it('has its key in a file of its own', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-box-'));
    try {
      const stored = (await openSecretBox(directory)).seal(id, secret);
      assert.equal(statSync(join(directory, 'secret.key')).mode & 0o777, 0o600);
      assert.deepEqual(Buffer.from((await openSecretBox(directory)).open(id, stored)), secret);
      writeFileSync(join(directory, 'secret.key'), 'AAAA');
      await assert.rejects(openSecretBox(directory), { code: 'store.failed', message: /32 bytes/ });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('makes API tokens that differ', () => {
    const tokens = new Set(Array.from({ length: 50 }, createApiToken));
    assert.equal(tokens.size, 50);
    for (const token of tokens) assert.match(token, /^[A-Za-z0-9_-]{40}$/);
    assert.equal(digestApiToken('x').byteLength, 32);
  });
});

describe('authenticateTunnel', () => {
  it('accepts the right secret of a live tunnel of the account only', async () => {
    await using store = await openSqliteStore({ path: ':memory:' });
    const box = createSecretBox(randomBytes(32));
    const accountTag = createTag();
    const network = { id: randomUUID(), accountTag, name: 'default', comment: '', isDefault: true };
    await store.accounts.create(
      { tag: accountTag, name: 'a', createdAtMs: 0 },
      { id: createTag(), accountTag, domain: 'localhost' },
      { ...network, createdAtMs: 0, deletedAtMs: undefined },
    );
    const tunnelId = createTunnelId();
    const secret = randomBytes(32);
    await store.tunnels.create({
      id: tunnelId,
      accountTag,
      name: 't',
      secret: box.seal(tunnelId, secret),
      createdAtMs: 0,
    });
    const claim = { accountTag, tunnelId, secret };
    assert.equal(await authenticateTunnel(store, claim), 'accepted');
    assert.equal(await authenticateTunnel(store, { ...claim, secret: randomBytes(32) }), 'wrong-secret');
    assert.equal(await authenticateTunnel(store, { ...claim, secret: new Uint8Array(0) }), 'wrong-secret');
    assert.equal(await authenticateTunnel(store, { ...claim, accountTag: createTag() }), 'unknown');
    assert.equal(await authenticateTunnel(store, { ...claim, tunnelId: createTunnelId() }), 'unknown');
    assert.equal(await authenticateTunnel(store, { ...claim, tunnelId: 'x' }), 'unknown');
    await store.tunnels.remove(accountTag, tunnelId, { atMs: 1, cascade: false });
    assert.equal(await authenticateTunnel(store, claim), 'unknown');
  });
});
