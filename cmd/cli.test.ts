import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import type { Flag } from '../internal/config/flag.ts';
import { runFlags } from '../internal/config/run-flags.ts';
import { tunnelFlags } from '../internal/config/tunnel-flags.ts';
import { runPostern } from '../test/support/run-cli.ts';
import { runCli } from './cli.ts';
import { groups } from './command-groups.ts';
import { commands } from './commands.ts';
import type { CommandContext } from './context.ts';
import { helpTopics } from './help-topics.ts';
import { parseCommandLine } from './parse-command-line.ts';
import { childrenOf, resolveCommand } from './resolve-command.ts';

async function run(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const context: CommandContext = {
    env: {},
    stdin,
    stdout,
    stderr,
    stdinIsTerminal: false,
    stderrIsTerminal: false,
    program: ['postern'],
    cwd: '/',
    homeDir: '/nonexistent',
    pid: process.pid,
    platform: 'linux',
    onSignal: () => () => undefined,
    runAgain: () => undefined,
    exitNow: code => assert.fail(`exitNow(${code})`),
  };
  const code = await runCli(argv, context);
  stdout.end();
  stderr.end();
  return { code, stdout: await text(stdout), stderr: await text(stderr) };
}

describe('command line', () => {
  it('shows errors as JSON where that is asked for, in the environment too', async () => {
    for (const [argv, env, isJson] of [
      [['tunnel', 'list', '--nonsense'], { TUNNEL_LOG_OUTPUT: 'json' }, true],
      [['tunnel', 'list', '--nonsense', '--output', 'default'], { TUNNEL_LOG_OUTPUT: 'json' }, false],
      [['tunnel', 'list', '--nonsense', '-o', 'json'], {}, true],
      [['tunnel', 'list', '--nonsense'], { TUNNEL_LOG_OUTPUT: '' }, false],
    ] as const) {
      const { stderr } = await runPostern('/nonexistent', argv, env);
      assert.equal(stderr.startsWith('{"error":{"code":"usage.invalid"'), isJson, stderr);
    }
  });

  it('finds the command between flags of upper levels', () => {
    const resolved = resolveCommand([
      '--no-autoupdate',
      '-loglevel',
      'debug',
      'tunnel',
      '--name=version',
      '--retries',
      'ingress',
      'ingress',
      'validate',
      '--json',
      'x',
    ]);
    assert.deepEqual(resolved.path, ['tunnel', 'ingress', 'validate']);
    assert.deepEqual(resolved.tokens, [
      '--no-autoupdate',
      '-loglevel',
      'debug',
      '--name=version',
      '--retries',
      'ingress',
      '--json',
      'x',
    ]);
    assert.equal(resolveCommand(['--', 'tunnel']).path.length, 0);
  });

  it("takes Go's flag syntax", () => {
    const parse = (...tokens: string[]) =>
      parseCommandLine(tokens, {
        path: ['x'],
        summary: 'x',
        command: {
          flags: [{ name: 'force', aliases: ['f'], type: 'boolean', description: '' }],
          positionals: [{ name: 'NAME', description: '', repeated: true, optional: true }],
        },
        inherited: tunnelFlags,
      });
    assert.deepEqual(parse('-loglevel', 'debug', '--retries=3', '-no-autoupdate', 'a', 'b').given, {
      loglevel: ['debug'],
      retries: ['3'],
      'no-autoupdate': ['true'],
    });
    // Values may begin with a dash, be empty, hold spaces, equals signs and what looks like a flag.
    assert.deepEqual(parse('--label', '-x', '--tag', 'a=b c', '--tag==', '--hostname=').given, {
      label: ['-x'],
      tag: ['a=b c', '='],
      hostname: [''],
    });
    assert.deepEqual(parse('--no-autoupdate=F', '--hello-world=1').given, {
      'hello-world': ['true'],
      'no-autoupdate': ['false'],
    });
    // A number may follow a letter without a space, as ping's users write it; a name is never taken apart.
    const count = { name: 'count', aliases: ['c'], type: 'integer', description: '' } as const;
    const close = (...tokens: string[]) =>
      parseCommandLine(tokens, { path: ['x'], summary: 'x', command: { flags: [count] }, inherited: tunnelFlags });
    assert.deepEqual(close('-c1').given, { count: ['1'] });
    assert.throws(() => close('-cx'), /no flag --cx/);
    assert.throws(() => close('-F1'), /no flag --F1/);
    // The last of several wins, which the settings decide; all are kept.
    assert.deepEqual(parse('--retries', '1', '--retries', '2').given.retries, ['1', '2']);
    // -f is the command's own here, not overwrite-dns of the level above.
    assert.deepEqual(parse('-f').given, { force: ['true'] });
    assert.deepEqual(parse('-p', 'http2', '--pq').given, { 'post-quantum': ['true'], protocol: ['http2'] });
    assert.deepEqual(parse('a', '--', '--retries', '-').args, ['a', '--retries', '-']);
    assert.deepEqual(parse('--edge', '1', 'true').args, ['true']);
    assert.deepEqual(parse('--no-autoupdate', 'false').args, ['false']);
    for (const tokens of [['--nope'], ['--retries'], ['--force=maybe'], ['-x=1']])
      assert.throws(() => parse(...tokens), { code: 'usage.invalid' });
    assert.throws(
      () => parse('--tokn=very-secret'),
      error => !String(error).includes('very-secret'),
    );
  });

  it('shows help for the program, groups and commands', async () => {
    for (const argv of [[], ['--help'], ['-h'], ['tunnel', 'ingress'], ['tunnel', 'ingress', '-help']]) {
      const { code, stdout, stderr } = await run(...argv);
      assert.equal(code, 0);
      assert.equal(stderr, '');
      assert.match(stdout, /Commands:/);
    }
    const { stdout } = await run('tunnel', 'ingress', 'validate', '--help');
    assert.match(stdout, /postern tunnel ingress validate \[flags\]/);
    assert.match(stdout, /--json/);
    assert.doesNotMatch(stdout, /--loglevel/);
    assert.match(stdout, /such as --api-url and --origincert, which --help-all lists/);
  });

  it('shows what values are, and the settings where they are read', async () => {
    for (const argv of [['tunnel'], ['tunnel', 'run']]) {
      const { stdout } = await run(...argv, '--help');
      assert.match(stdout, /^ +--url URL +Publish/m);
      assert.match(stdout, /^ +-p, --protocol auto\|http2\|quic +Protocol/m);
      assert.match(stdout, /^ +--grace-period DURATION /m);
      assert.match(stdout, /^ +--hello-world +Publish/m);
      assert.doesNotMatch(stdout, /--rpc-timeout|--management-hostname|--proxy-dns/);
    }
  });

  it('ends usage errors with 64 and a hint, JSON on request', async () => {
    const unknown = await run('tunnel', 'ingres');
    assert.equal(unknown.code, 64);
    assert.equal(
      unknown.stderr,
      'There is no command "tunnel ingres". Did you mean ingress? [usage.invalid]\nSee \'postern tunnel --help\'.\n',
    );
    for (const output of ['--output=json', '-output=json']) {
      const { code, stderr, stdout } = await run('version', output, 'x');
      assert.equal(code, 64);
      assert.equal(stdout, '');
      assert.deepEqual(JSON.parse(stderr), { error: { code: 'usage.invalid', message: 'Too many arguments: "x"' } });
    }
  });

  it('suggests the nearest command and flag', async () => {
    for (const [argv, hint] of [
      [['tunnel', 'lits'], 'Did you mean list?'],
      [['tunnel', 'ruote', 'ip'], 'Did you mean route?'],
      [['tunel', 'run'], 'Did you mean tunnel?'],
      [['tunnel', 'route', 'dsn'], 'Did you mean dns?'],
      [['tunnel', 'list', '--ouput', 'json'], 'Did you mean --output?'],
      [['tunnel', 'run', '--tokn', 'x'], 'Did you mean --token?'],
      [['tunnel', 'run', '--credential-file', 'x'], 'Did you mean --credentials-file?'],
      [['tunnel', '--ulr', 'x'], 'Did you mean --url?'],
      [['edge', 'run', '--dommain', 'x'], 'Did you mean --domain?'],
    ] as const) {
      const { code, stderr } = await run(...argv);
      assert.equal(code, 64, argv.join(' '));
      assert.ok(stderr.includes(hint), `${argv.join(' ')}: ${stderr}`);
    }
    for (const argv of [['xyzzy'], [''], ['tunnel', 'run', '--zz', 'x']]) {
      assert.doesNotMatch((await run(...argv)).stderr, /Did you mean/, argv.join(' '));
    }
  });

  it('names what is wrong: a flag without its command, an unknown command with --help, a dash that is no hyphen', async () => {
    for (const [argv, text] of [
      [['edge', '--state-dir', 'x'], /^postern edge needs a command beside --state-dir: .*run.* \[usage\.invalid\]\n/],
      [['upgrade', '--help'], /^There is no command "upgrade"/],
      [['tunnel', 'home-4'], /^There is no command "tunnel home-4"\. A tunnel is run by: postern tunnel run NAME \[/],
      [['tunnel', 'vnet', 'add', 'x', '\u2014default'], /begins with a dash that is no hyphen: write --default/],
      [['tunnel', 'vnet', 'add', 'x', '\u2014-default'], /begins with a dash that is no hyphen: write --default/],
    ] as const) {
      const { code, stderr } = await run(...argv);
      assert.equal(code, 64, argv.join(' '));
      assert.match(stderr, text);
    }
  });

  it('exits by the table of docs/errors.md', async () => {
    const cases: readonly (readonly [code: number, name: string | undefined, argv: readonly string[]])[] = [
      [0, undefined, ['version']],
      [1, 'health.failed', ['tunnel', '--metrics', '127.0.0.1:1', 'ready']],
      [2, 'credentials.invalid', ['tunnel', 'run', '--token', 'x']],
      [2, 'credentials.not-found', ['tunnel', 'list']],
      [3, 'config.not-found', ['tunnel', '--config', '/nonexistent', 'run']],
      [10, 'update.failed', ['update']],
      [64, 'usage.invalid', ['tunnel', 'lits']],
    ];
    const table = readFileSync(join(import.meta.dirname, '..', 'docs', 'errors.md'), 'utf8');
    const codes = (text: string): string[] => text.match(/^\| (\d+) \|/gm) ?? [];
    for (const [code, name, argv] of cases) {
      const outcome = await run(...argv);
      assert.equal(outcome.code, code, outcome.stderr);
      if (name !== undefined) assert.match(outcome.stderr, new RegExp(`\\[${name}\\]`));
      assert.ok(table.includes(`\n| ${code} | `), String(code));
    }
    // A new program takes a single binary: test/build/update.test.ts.
    const elsewhere = 11;
    const listed = new Set(codes(table).map(row => Number(row.replaceAll(/\D/g, ''))));
    assert.ok(listed.delete(elsewhere));
    assert.deepEqual(
      [...listed].sort((a, b) => a - b),
      [...new Set(cases.map(([code]) => code))],
    );
  });

  it('takes ls and rm, and says what was removed', async () => {
    const help = async (...argv: string[]) => (await run(...argv, '--help')).stdout;
    assert.equal(await help('tunnel', 'ls'), await help('tunnel', 'list'));
    assert.equal(await help('tunnel', 'route', 'ip', 'ls'), await help('tunnel', 'route', 'ip', 'list'));
    assert.equal(await help('tunnel', 'vnet', 'rm'), await help('tunnel', 'vnet', 'delete'));
    const { code, stderr } = await run('tunnel', 'proxy-dns');
    assert.equal(code, 64);
    assert.match(stderr, /^dns-proxy feature is no longer supported \[usage\.invalid\]/);
  });

  it('has a help that fits a screen, and all flags under headings', async () => {
    const isListed = ({ hidden, inert }: Flag): boolean => hidden !== true && inert === undefined;
    const settings = [...tunnelFlags, ...runFlags].filter(isListed).map(({ name }) => name);
    assert.deepEqual(Object.values(helpTopics).flat().sort(), settings.toSorted());
    for (const entry of commands) {
      const { command } = await entry.load();
      const words = entry.path.split(' ');
      const short = (await run(...words, '--help')).stdout;
      assert.ok(short.split('\n').length <= 50, `${entry.path}: ${short.split('\n').length} lines`);
      for (const name of command.usualFlags ?? []) assert.match(short, new RegExp(`--${name}\\b`), entry.path);
      const hasAll = command.usualFlags !== undefined || entry.inherits === 'tunnel';
      const all = hasAll ? (await run(...words, '--help-all')).stdout : '';
      if (entry.inherits === 'tunnel' && command.inheritedHelp !== true) assert.match(all, /--api-url/, entry.path);
      for (const name of command.inheritedHelp === true && entry.inherits === 'tunnel' ? settings : [])
        assert.match(all, new RegExp(`--${name}\\b`), entry.path);
    }
  });

  it('lists the commands that make access tokens', async () => {
    assert.match((await run('management', '--help')).stdout, /postern management token +Print/);
    assert.match((await run('tail', '--help')).stdout, /postern tail token +Print/);
  });

  it('has help as a command', async () => {
    const { stdout } = await run('tunnel', 'run', '--help');
    for (const argv of [
      ['help', 'tunnel', 'run'],
      ['tunnel', 'help', 'run'],
      ['h', 'tunnel', 'run'],
    ])
      assert.equal((await run(...argv)).stdout, stdout);
    assert.equal((await run('help')).stdout, (await run('--help')).stdout);
  });

  it('prints the version', async () => {
    for (const argv of [['--version'], ['-v'], ['-V'], ['version']]) {
      const { code, stdout } = await run(...argv);
      assert.equal(code, 0);
      assert.match(stdout, /^postern version \d+\.\d+\.\d+\n$/);
    }
    assert.match((await run('version', '-s')).stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

describe('registry of commands', () => {
  it('is sorted, without doubles, and every group has a text', () => {
    const paths = commands.map(entry => entry.path);
    assert.deepEqual(paths, [...new Set(paths)].sort());
    for (const path of paths) {
      const words = path.split(' ');
      for (let length = 0; length < words.length; length += 1) {
        const group = words.slice(0, length).join(' ');
        assert.ok(groups[group] !== undefined || paths.includes(group), `group "${group}" has no text`);
      }
    }
  });

  it('every command loads, has help, and its flags are distinct', async () => {
    for (const entry of commands) {
      const { command } = await entry.load();
      const names = command.flags.flatMap(flag => [flag.name, ...(flag.aliases ?? [])]);
      assert.equal(new Set(names).size, names.length, entry.path);
      const { code, stdout } = await run(...entry.path.split(' ').filter(word => word !== ''), '--help');
      assert.equal(code, 0, entry.path);
      assert.match(stdout, new RegExp(`^postern ${entry.path}`.trimEnd()));
      assert.ok(entry.summary !== '');
      const lines = stdout.split('\n');
      assert.deepEqual(
        lines.filter(line => line.length > 100),
        [],
      );
      // Whole, to be copied.
      for (const [example, what] of command.examples ?? []) {
        assert.ok(
          lines.some(line => line.startsWith(`  ${example}`)),
          `${entry.path}: ${example}`,
        );
        assert.ok(stdout.includes(what), what);
      }
    }
    assert.ok(childrenOf([]).some(({ word }) => word === 'tunnel'));
  });
});
