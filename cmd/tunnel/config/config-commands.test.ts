// tunnel config init, validate and show as a user types them, the files checked by a validator of others.

import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { checkPrinted } from '../../../test/support/check-printed.ts';
import { temporaryDirectory } from '../../../test/support/program.ts';
import { runPostern } from '../../../test/support/run-cli.ts';

async function user(t: TestContext) {
  const home = await temporaryDirectory(t);
  const file = (name: string, text: string): string => {
    writeFileSync(join(home, name), text);
    return join(home, name);
  };
  const run = (args: readonly string[], env: Record<string, string> = {}) =>
    runPostern(home, ['tunnel', 'config', ...args], env);
  const shown = async (args: readonly string[], env: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await run(['show', '-o', 'json', ...args], env);
    assert.equal(code, 0, stderr);
    return checkPrinted('tunnel config show', stdout) as Shown;
  };
  return { home, file, run, shown };
}

interface Shown {
  readonly file: string | null;
  readonly settings: readonly { name: string; value: string | null; source: string; from: string | null }[];
  readonly rules: { source: string; from: string | null; config: { ingress: readonly { service: string }[] } };
}

/** By the schema that `init` writes for editors. */
function editorCheck(schema: string): (text: string) => string {
  const ajv = new Ajv({ strict: false, allErrors: true });
  const validate = ajv.compile(JSON.parse(schema) as object);
  return text => (validate(parse(text)) === true ? '' : ajv.errorsText(validate.errors));
}

const rules = 'ingress:\n  - service: http_status:404\n';

describe('tunnel config init', () => {
  it('writes a file that is valid, for editors too, and no other twice', async t => {
    const { home, run } = await user(t);
    const made = await run(['init', 'home', '--hostname', '*.example.com', '--service', 'localhost:3000']);
    assert.equal(made.code, 0, made.stderr);
    const path = join(home, '.postern', 'config.yml');
    const text = readFileSync(path, 'utf8');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.match(text, /^# yaml-language-server: \$schema=\.\/config\.schema\.json\n/);
    assert.deepEqual(parse(text), {
      tunnel: 'home',
      ingress: [{ hostname: '*.example.com', service: 'http://localhost:3000' }, { service: 'http_status:404' }],
    });
    const schema = readFileSync(join(home, '.postern', 'config.schema.json'), 'utf8');
    assert.equal(schema, readFileSync(join(import.meta.dirname, '../../../docs/schemas/config.json'), 'utf8'));
    assert.equal(editorCheck(schema)(text), '');
    assert.equal((await run(['validate'])).stdout, `${path}: OK\n`);

    const again = await run(['init', 'other']);
    assert.deepEqual([again.code, readFileSync(path, 'utf8')], [1, text]);
    assert.match(again.stderr, /config\.yml exists already: name another file with --config/);
  });

  it('takes names that YAML would read as something else, and refuses what no rule takes', async t => {
    const { home, run } = await user(t);
    for (const [name, file] of [
      ['yes', 'a.yml'],
      ['x: y', 'b.yml'],
      ['# z', 'c.yml'],
    ] as const) {
      assert.equal((await run(['init', name, '--config', file])).code, 0);
      assert.equal((parse(readFileSync(join(home, file), 'utf8')) as { tunnel: string }).tunnel, name);
    }
    for (const service of ['file:///x', 'http://a/b', 'http://a b', ''])
      assert.notEqual((await run(['init', '--service', service || ' ', '--config', 'bad.yml'])).code, 0, service);
    assert.throws(() => statSync(join(home, 'bad.yml')));
  });
});

describe('the schema of the config file', () => {
  const check = editorCheck(readFileSync(join(import.meta.dirname, '../../../docs/schemas/config.json'), 'utf8'));

  it('takes what the program takes, and marks what it does not', () => {
    for (const good of [
      'tunnel: x\nloglevel: debug\nretries: 3\ntag: [a=b]\nproxy-dns: true\ncred-file: x.json\n',
      'originRequest: {connectTimeout: 30s, noTLSVerify: true, access: {required: true, teamName: t, audTag: [a]}}\n',
      'ingress:\n - hostname: a.b\n   path: ^/x\n   service: http://a:1\n   originRequest: {ipRules: [{prefix: 10.0.0.0/8}]}\n',
      'warp-routing: {connectTimeout: 0, maxActiveFlows: 5}\n',
    ])
      assert.equal(check(good), '', good);
    for (const bad of [
      'loglevl: debug\n',
      'retries: many\n',
      'originRequest: {connectTimeout: 30}\n',
      'ingress: {service: x}\n',
      'ingress:\n - servce: http://a:1\n',
      'warp-routing: {maxActiveFlows: -1}\n',
    ])
      assert.notEqual(check(bad), '', bad);
  });
});

describe('tunnel config validate', () => {
  it('lists every problem with its place, as text and JSON', async t => {
    const { file, run } = await user(t);
    const path = file('bad.yml', 'retries: x\ningress:\n  - hostname: a.b:1\n    service: nonsense\n');
    const { code, stderr } = await run(['validate', '--config', path]);
    assert.equal(code, 3);
    assert.equal(stderr.trim().split('\n').length, 4, stderr);
    const json = await run(['validate', '--config', path, '-o', 'json']);
    assert.equal(json.code, 3);
    const report = checkPrinted('tunnel config validate', json.stdout) as {
      problems: { line: number; path: string }[];
    };
    assert.deepEqual(
      report.problems.map(({ line, path: key }) => [line, key]),
      [
        [1, 'retries'],
        [3, 'ingress[0].hostname'],
        [3, 'ingress[0]'],
        [4, 'ingress[0].service'],
      ],
    );
  });

  it('takes files of other editors, and names one fault of a text that is no YAML', async t => {
    const { file, run } = await user(t);
    const cases: readonly (readonly [name: string, text: string, code: number, shown: RegExp])[] = [
      ['bom', '\uFEFFloglevel: info\r\ningress:\r\n  - service: http_status:404\r\n', 0, /bom\.yml: OK$/],
      ['anchors', `x: &r\n  service: http_status:404\ningress:\n  - hostname: a.b\n    <<: *r\n  - *r\n`, 0, /OK$/],
      [
        'tabs',
        'ingress:\n\t- service: http_status:404\n',
        3,
        /^\S+tabs\.yml:2:1: [^\n]*a tab as indentation\. Use spaces/,
      ],
      ['twice', `a: 1\na: 2\n${rules}`, 3, /^\S+twice\.yml:2:1: [^\n]*this key is there twice/],
      ['alias', `ingress: *none\n`, 3, /^\S+alias\.yml:1:10: [^\n]*there is no anchor &none/],
      ['empty', '', 0, /^Warning: No ingress rules/],
      [
        'many',
        `ingress:\n${'  - {service: http_status:404, hostname: a.b}\n'.repeat(70_000)}`,
        3,
        /the document is too large/,
      ],
      ['comments', `${rules}${'# a line\n'.repeat(50_000)}`, 0, /OK$/],
    ];
    for (const [name, text, code, shown] of cases) {
      const outcome = await run(['validate', '--config', file(`${name}.yml`, text)]);
      assert.equal(outcome.code, code, `${name}: ${outcome.stderr}`);
      const said = (code === 0 ? outcome.stdout : outcome.stderr).trim();
      assert.match(said, shown, name);
      // Nothing is made up after the first fault.
      if (code !== 0) assert.equal(said.split('\n').length, 1, said);
    }
  });

  it('checks flags and variables with the file', async t => {
    const { file, run } = await user(t);
    const path = file('c.yml', rules);
    assert.equal((await run(['validate', '--config', path, '--retries', 'x'])).code, 64);
    assert.equal((await run(['validate', '--config', path], { TUNNEL_RETRIES: 'x' })).code, 64);
    assert.equal((await run(['validate'])).code, 3);
  });
});

describe('tunnel config show', () => {
  it('tells where each value came from: flag, variable, line of the file, default', async t => {
    const { file, run, shown } = await user(t);
    const path = file('c.yml', `# first\nlog-level: debug\nretries: 7\nmetrics: localhost:9\n${rules}`);
    const env = { TUNNEL_METRICS: 'localhost:8', TUNNEL_PROTO_LOGLEVEL: '', TUNNEL_TRANSPORT_LOGLEVEL: 'warn' };
    const { file: used, settings, rules: inForce } = await shown(['--config', path, '--retries', '2'], env);
    assert.equal(used, path);
    assert.deepEqual(settings, [
      { name: 'config', value: path, source: 'flag', from: '--config' },
      { name: 'loglevel', value: 'debug', source: 'file', from: `${path}:2` },
      { name: 'transport-loglevel', value: 'warn', source: 'environment', from: 'TUNNEL_TRANSPORT_LOGLEVEL' },
      { name: 'metrics', value: 'localhost:8', source: 'environment', from: 'TUNNEL_METRICS' },
      { name: 'retries', value: '2', source: 'flag', from: '--retries' },
    ]);
    assert.deepEqual([inForce.source, inForce.from], ['file', `${path}:6`]);
    const all = await shown(['--config', path, '--all']);
    const grace = all.settings.find(({ name }) => name === 'grace-period');
    assert.deepEqual(grace, { name: 'grace-period', value: '30s', source: 'default', from: null });
    const text = await run(['show', '--config', path]);
    assert.match(text.stdout, /^retries +7 +\S+c\.yml:3 $/m);
    assert.match(text.stdout, /^0 +\* +- +http_status:404 $/m);
  });

  it('shows no secret, whatever its source', async t => {
    const { file, run } = await user(t);
    const secret = 'c2VjcmV0LXRleHQ';
    const path = file('c.yml', `token: ${secret}\nurl: http://user:${secret}@localhost:1\n`);
    const env = { TUNNEL_CRED_CONTENTS: secret };
    for (const format of ['json', 'yaml', 'default']) {
      const { code, stdout, stderr } = await run(
        ['show', '--config', path, '--all', '--token', secret, '-o', format],
        env,
      );
      assert.equal(code, 0, stderr);
      assert.match(stdout, /token\W/);
      assert.doesNotMatch(stdout + stderr, new RegExp(secret));
    }
  });
});
