// Accounts through the real program: a user is added, gets a token, calls the API with it, and stands in the audit log; a
// token that is revoked is good no more.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { startProgram, temporaryDirectory } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';

it('a user, a token of the user, a call with it, its line in the audit log, its end', async t => {
  const home = await temporaryDirectory(t);
  const anywhere = ['--http-port', '0', '--https-port', '-1', '--connector-port', '0', '--api', '127.0.0.1:0'];
  const stateDir = join(home, 'state');
  const edge = startProgram(t, ['edge', 'run', '--state-dir', stateDir, ...anywhere], { home });
  await edge.logged(/Edge ready/);
  /** In a process of its own. */
  const program = async (args: readonly string[], env = {}) => {
    const child = startProgram(t, args, { home, env });
    return { code: await child.exited, out: child.output(), err: child.log() };
  };
  const postern = async (args: readonly string[], token?: string) => {
    const env: Record<string, string> = token === undefined ? {} : { POSTERN_API_TOKEN: token };
    const { code, stdout: out, stderr: err } = await runPostern(home, args, env);
    return { code, out, err };
  };
  const added = await program(['user', 'add', 'ann', '--scope', 'tunnels:write']);
  assert.equal(added.code, 0, added.err);
  assert.match(added.out, /^Login code: ([0-9A-Z]{4}-){4}[0-9A-Z]{4} \(good once, until /m);
  const made = await postern(['token', 'create', 'laptop', '--user', 'ann', '--scope', 'tunnels:write']);
  assert.equal(made.code, 0, made.err);
  const token = made.out.trim();
  assert.match(token, /^[\w-]{40,}$/);

  const created = await program(['tunnel', 'create', 'web'], { POSTERN_API_TOKEN: token });
  assert.equal(created.code, 0, created.err);
  const denied = await postern(['user', 'list'], token);
  assert.equal(denied.code, 2);
  assert.match(denied.err, /code: 9109, reason: The API token may not do that: it needs the scope users:read/);
  const who = await postern(['whoami', '--output', 'json'], token);
  const { user, credential } = JSON.parse(who.out) as { user: { name: string }; credential: string };
  assert.deepEqual([user.name, credential], ['ann', 'POSTERN_API_TOKEN']);

  const log = await postern(['audit', '--output', 'json']);
  const entries = JSON.parse(log.out) as { action: string; actor: Record<string, string>; after: { name: string } }[];
  const actions = entries.map(({ action, actor }) => [action, actor.user_name, actor.token_name, actor.ip]);
  assert.deepEqual(actions, [
    ['create tunnel', 'ann', 'laptop', '127.0.0.1'],
    ['create token', '', 'local credential file', '127.0.0.1'],
    ['add user', '', 'local credential file', '127.0.0.1'],
  ]);
  assert.equal(entries[0]?.after.name, 'web');
  assert.ok(!log.out.includes(token));
  const [, code = ''] = /Login code: (\S+)/.exec(added.out) ?? [];
  assert.ok(!log.out.includes(code));

  const revoked = await postern(['token', 'revoke', 'laptop']);
  assert.match(revoked.out, /^Revoked API token laptop with ID [0-9a-f]{32}\n$/);
  const after = await postern(['tunnel', 'list'], token);
  assert.equal(after.code, 2);
  assert.match(after.err, /Invalid API Token/);
});
