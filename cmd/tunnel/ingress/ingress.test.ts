// Runs the real program, as a user would.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

const home = await mkdtemp(join(tmpdir(), 'postern-cli-'));
after(() => rm(home, { recursive: true, force: true }));
const program = join(import.meta.dirname, '..', '..', 'postern.ts');

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function postern(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  return new Promise(resolve => {
    const options = { cwd: home, env: { PATH: process.env.PATH, HOME: home, ...env }, timeout: 60_000 };
    execFile(process.execPath, [program, 'tunnel', 'ingress', ...args], options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr });
    });
  });
}

async function file(name: string, text: string): Promise<string> {
  const path = join(home, name);
  await writeFile(path, text);
  return path;
}

const good = `ingress:
  - hostname: app.example.com
    path: ^/x
    service: http://localhost:8000
  - service: http_status:404
`;

describe('tunnel ingress validate', () => {
  it('prints OK for a valid file', async () => {
    const path = await file('good.yml', good);
    assert.deepEqual(await postern(['validate', '--config', path]), {
      code: 0,
      stdout: `Validating rules from ${path}\nOK\n`,
      stderr: '',
    });
  });

  it('lists unused keys instead, and exits 0', async () => {
    const path = await file('unused.yml', good.replace('path:', 'foo: 1\n    path:'));
    assert.deepEqual(await postern(['validate', `-config=${path}`]), {
      code: 0,
      stdout:
        `Validating rules from ${path}\n` +
        'Warning: unused keys detected in your config file. Here is a list of unused keys:\n' +
        'yaml: unmarshal errors:\n' +
        '  line 3: field foo not found in type config.UnvalidatedIngressRule\n',
      stderr: '',
    });
  });

  it('names the one problem, or lists them all, on stderr', async () => {
    const one = await file('one.yml', 'ingress:\n  - service: http_status:x\n');
    assert.deepEqual(await postern(['validate', '--config', 'one.yml']), {
      code: 3,
      stdout: `Validating rules from ${one}\n`,
      stderr:
        `Validation failed: ${one}:2:14: invalid HTTP status code: strconv.Atoi: parsing "x": invalid syntax. ` +
        'Write a status code from 100 to 999, for example "http_status:404". [config.invalid]\n',
    });
    const two = await file('two.yml', 'ingress:\n  - service: a\n    hostname: b:1\n  - service: http_status:1\n');
    const { code, stderr } = await postern(['validate', '--config', two]);
    assert.equal(code, 3);
    assert.deepEqual(
      stderr.split('\n').map(line => line.split('. ')[0]),
      [
        'Validation failed: 3 problems [config.invalid]',
        `  ${two}:2:14: a is an invalid address, please make sure it has a scheme and a hostname`,
        `  ${two}:3:15: Hostname cannot contain a port`,
        `  ${two}:4:14: invalid HTTP status code: 1`,
        '',
      ],
    );
    const none = await file('none.yml', 'tunnel: x\n');
    assert.match(
      (await postern(['validate', '--config', none])).stderr,
      /The config file doesn't contain any ingress rules/,
    );
  });

  it('refuses --url beside rules', async () => {
    const path = await file('good.yml', good);
    const text =
      "Validation failed: You can't set the --url flag (or $TUNNEL_URL) when using multiple-origin ingress rules [config.invalid]\n";
    assert.equal((await postern(['validate', '--config', path, '--url', 'http://a'])).stderr, text);
    assert.equal((await postern(['validate', '--config', path], { TUNNEL_URL: 'http://a' })).stderr, text);
  });

  it('checks a JSON text from the flag or the environment', async () => {
    const fine = { code: 0, stdout: 'Validating rules from cmdline flag --json\nOK\n', stderr: '' };
    assert.deepEqual(await postern(['validate', '-j', '{"ingress":[{"service":"hello_world"}]}']), fine);
    const env = { TUNNEL_INGRESS_VALIDATE_JSON: '{"Ingress":[{"Service":"bastion"}]}' };
    assert.deepEqual(await postern(['validate'], env), fine);
    const { code, stderr } = await postern(['validate', '--json={"ingress":[{"service":"x"}]}', '--output', 'json']);
    assert.equal(code, 3);
    assert.match(JSON.parse(stderr).error.message, /^Validation failed: x is an invalid address/);
    assert.equal(JSON.parse(stderr).error.code, 'config.invalid');
  });

  it('finds the file in the searched directories, and says so when there is none', async () => {
    const none = await postern(['validate'], { HOME: join(home, 'nobody') });
    assert.deepEqual(none, {
      code: 3,
      stdout: '',
      stderr:
        'No configuration file was found. Please create one, or use the --config flag to specify its filepath. ' +
        'You can use the help command to learn more about configuration files [config.not-found]\n',
    });
    await mkdir(join(home, '.cloudflared'), { recursive: true });
    const found = await file('.cloudflared/config.yaml', good);
    assert.equal((await postern(['validate'])).stdout, `Validating rules from ${found}\nOK\n`);
    const missing = await postern(['validate', '--config', 'missing.yml']);
    assert.equal(missing.code, 3);
    assert.match(missing.stderr, /Config file .*missing\.yml cannot be used: it does not exist/);
  });
});

describe('tunnel ingress rule', () => {
  it('shows the rule that a URL matches', async () => {
    const path = await file('good.yml', good);
    assert.deepEqual(await postern(['rule', '--config', path, 'https://app.example.com/x/y?z']), {
      code: 0,
      stdout: `Using rules from ${path}\nMatched rule #0\n\thostname: app.example.com\n\tpath: ^/x\n\tservice: http://localhost:8000\n`,
      stderr: '',
    });
    assert.deepEqual(await postern(['rule', 'https://app.example.com/y', '--config', path]), {
      code: 0,
      stdout: `Using rules from ${path}\nMatched rule #1\n\tservice: http_status:404\n`,
      stderr: '',
    });
  });

  it('refuses what is no URL', async () => {
    const cases: readonly (readonly [string[], RegExp])[] = [
      [[], /expects a single argument, the URL to test/],
      [['a', 'b'], /expects a single argument, the URL to test/],
      [['http://a b'], /^http:\/\/a b is not a valid URL \[usage\.invalid\]\n/],
      [['example.com'], /^example\.com doesn't have a hostname, consider adding a scheme \[usage\.invalid\]\n/],
    ];
    for (const [args, text] of cases) {
      const { code, stderr } = await postern(['rule', ...args]);
      assert.equal(code, 64);
      assert.match(stderr, text);
    }
  });
});
