// Commands on users, groups, devices and tokens against a real control plane: what they print and refuse.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { outputSchemaFile } from '../scripts/docs/output-schemas.ts';
import { openTestControlPlane, type TestControlPlane } from '../test/support/control-plane.ts';
import { runPostern } from '../test/support/run-cli.ts';
import { until } from '../test/support/wait.ts';

const root = join(import.meta.dirname, '..');

describe('commands on people', () => {
  let edge: TestControlPlane;
  beforeEach(async () => {
    edge = await openTestControlPlane();
  });
  afterEach(() => edge[Symbol.asyncDispose]());
  const run = (line: string, env: Record<string, string> = {}) => runPostern(edge.home, line.split(' '), env);
  /** Standard output of a command that succeeds. */
  const ok = async (line: string, env?: Record<string, string>): Promise<string> => {
    const { code, stdout, stderr } = await run(line, env);
    assert.equal(code, 0, `${line}: ${stderr}`);
    return stdout;
  };

  it('print JSON by their published schemas', async () => {
    const ajv = new Ajv2020({ allErrors: true });
    addFormats.default(ajv);
    const shown = async (path: string, rest = ''): Promise<unknown> => {
      const value: unknown = JSON.parse(await ok(`${path} -o json${rest}`));
      const validate = ajv.compile(JSON.parse(readFileSync(join(root, outputSchemaFile(path)), 'utf8')) as object);
      assert.ok(validate(value) === true, `${path}: ${ajv.errorsText(validate.errors)} ${JSON.stringify(value)}`);
      return value;
    };
    await shown('user add', ' ann');
    await shown('user invite', ' ann');
    await shown('group add', ' staff');
    await ok('group add-member staff ann');
    await shown('device add', ' --user ann laptop');
    await shown('token create', ' ci --expires 1h');
    for (const list of ['user', 'group', 'device', 'token'])
      assert.ok(((await shown(`${list} list`)) as unknown[]).length > 0, list);
    assert.equal(((await shown('audit')) as unknown[]).length, 6);
    await shown('whoami');
    await shown('profile list');
  });

  it('keep users, groups and members', async () => {
    assert.match(await ok('user list'), /^There are no users/);
    await ok('user add ann');
    await ok('user add bob --scope audit:read');
    const listed = await ok('user list');
    assert.match(listed, /^ID +NAME +CREATED +SCOPES/);
    assert.match(
      listed,
      /^[0-9a-f-]{36} ann +2\S+Z tunnels:write routes:write dns:write .*\bconnect/m,
    );
    assert.match(listed, /^[0-9a-f-]{36} bob +2\S+Z audit:read/m);
    await ok('group add staff');
    assert.equal(await ok('group add-member staff ann'), 'Members of staff: ann\n');
    assert.equal(await ok('group add-member staff bob'), 'Members of staff: ann, bob\n');
    assert.equal(await ok('group remove-member staff ann'), 'Members of staff: bob\n');
    assert.match(await ok('group list'), /staff .* bob/);
    assert.match(await ok('user remove bob'), /^Removed user bob with ID /);
    assert.match(await ok('group remove staff'), /^Removed group staff/);
    assert.match((await run('user add ann')).stderr, /There is a user "ann" already/);
    assert.match((await run('user remove eve')).stderr, /"eve" is neither the ID nor the name of a user/);
    assert.match((await run('user add eve --scope root')).stderr, /must be of all, connect, tunnels:read/);
  });

  it('show a token once, and when it was last used', async () => {
    const token = (await ok('token create ci --scope tunnels:read --expires 1h')).trim();
    const [, id = ''] = /^(\S+) ci +- +\S+ +- +tunnels:read/m.exec(await ok('token list')) ?? [];
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.match(await ok('tunnel list', { POSTERN_API_TOKEN: token }), /^No tunnels/);
    await until('the last use', async () => /ci +- +\S+Z +\S+Z /.test(await ok('token list')));
    const verified = await fetch(`${edge.apiUrl}/user/tokens/verify`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { result } = (await verified.json()) as { result: Record<string, string> };
    assert.deepEqual([result.id, result.status, typeof result.expires_on], [id, 'active', 'string']);
    await ok(`token revoke ${id}`);
    const gone = await fetch(`${edge.apiUrl}/user/tokens/verify`, { headers: { authorization: `Bearer ${token}` } });
    const { errors } = (await gone.json()) as { errors: unknown };
    assert.deepEqual([gone.status, errors], [401, [{ code: 1000, message: 'Invalid API Token' }]]);
    await ok('token create twin');
    await ok('token create twin');
    const twin = await run('token revoke twin');
    assert.match(
      twin.stderr,
      /Several have the name "twin": name the ID of one, [0-9a-f]{32}, [0-9a-f]{32} \[api\.conflict\]/,
    );
  });

  it('give nobody more than whoever gives it has', async () => {
    await ok('user add ann --scope users:write --scope tokens:write --scope tunnels:read');
    await ok('user add root --scope all');
    const scopes = '--scope users:write --scope tokens:write --scope tunnels:read';
    const ann = { POSTERN_API_TOKEN: (await ok(`token create ann --user ann ${scopes} --expires 1h`)).trim() };
    const refused = [
      'user add eve --scope all',
      'user add eve --scope dns:write',
      'user invite root',
      'user remove root',
      'token create more --scope tunnels:write',
      'token create more --user root --scope all',
      'device add box --user ann',
    ];
    await ok('token create strong --scope all');
    for (const line of [...refused, 'token revoke strong']) {
      const { code, stderr } = await run(line, ann);
      assert.deepEqual([code, /code: (9109|1001)/.test(stderr)], [2, true], `${line}: ${stderr}`);
    }
    await ok('user add bob --scope tunnels:read', ann);
    const made = JSON.parse(await ok('token create less --scope tunnels:read -o json', ann)) as Record<string, unknown>;
    assert.equal((made.user as { name: string }).name, 'ann');
    assert.notEqual(made.expires_on, null, 'nobody gives more time than he has');
    assert.match((await run('token create wide --user bob --scope users:write')).stderr, /User "bob" lacks the scopes/);
  });

  it('say when there is nothing to ask, and for whom they act', async () => {
    assert.match(await ok('whoami'), /^API: +http.*\nCREDENTIAL: .*cert\.pem\nACCOUNT: +local \(/);
    assert.match(await ok('audit --since 1h'), /^No such change/);
    assert.match((await run('audit --since yesterday')).stderr, /--since must be an RFC 3339 time or as 24h/);
    assert.match((await run('device add box')).stderr, /name the user with --user/);
    assert.match((await run('profile use none')).stderr, /no profile "none"/);
    assert.match((await run('--profile ../x whoami')).stderr, /is no name of a profile/);
    const wrong = await run('whoami', { POSTERN_API_TOKEN: 'wrong' });
    assert.deepEqual(
      [wrong.code, /Invalid API Token/.test(wrong.stderr), wrong.stderr.includes('wrong')],
      [2, true, false],
    );
  });
});
