// What is written for package managers that fetch binaries themselves, read by programs that are not ours; and the man pages.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { commands } from '../../cmd/commands.ts';
import { loadCommandTree } from '../../cmd/completion/load-tree.ts';
import { manifest } from '../../scripts/build/package-tree.ts';
import { manPages } from '../../scripts/package/man-pages.ts';
import { homebrewFormula, wingetManifest, writeChart } from '../../scripts/package/other-managers.ts';
import { haveCommand } from '../support/debian-package.ts';

const run = promisify(execFile);
const url = 'https://packages.example.com';

let folder: string;
const binaries = new Map<string, string>();
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-managers-'));
  for (const target of ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64', 'win32-x64']) {
    binaries.set(target, join(folder, `postern-${target}`));
    await writeFile(join(folder, `postern-${target}`), target);
  }
});
after(() => rm(folder, { recursive: true, force: true }));

describe('Homebrew formula', () => {
  it('is Ruby, and has address and hash of each binary', async t => {
    const formula = homebrewFormula(binaries, url) ?? '';
    for (const target of ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64'])
      assert.ok(formula.includes(`url "${url}/postern-${target}"\n      sha256 "${sha256(target)}"`), formula);
    assert.equal(homebrewFormula(new Map(), url), undefined);
    if (!haveCommand('ruby', ['ruby'])) return t.skip('ruby is not here and could not be installed');
    const path = join(folder, 'postern.rb');
    await writeFile(path, formula);
    assert.equal((await run('ruby', ['-c', path])).stdout, 'Syntax OK\n');
  });
});

describe('winget manifest', () => {
  it('names one package and version in three files, with address and hash', () => {
    const files = Object.entries(wingetManifest(binaries, url) ?? {}).map(
      ([name, text]) => [name, parse(text)] as const,
    );
    assert.deepEqual(
      files.map(([name, { ManifestType }]) => [name, ManifestType]),
      [
        ['Postern.Postern.yaml', 'version'],
        ['Postern.Postern.installer.yaml', 'installer'],
        ['Postern.Postern.locale.en-US.yaml', 'defaultLocale'],
      ],
    );
    for (const [, { PackageIdentifier, PackageVersion, ManifestVersion }] of files)
      assert.deepEqual(
        [PackageIdentifier, PackageVersion, ManifestVersion],
        ['Postern.Postern', manifest.version, '1.10.0'],
      );
    assert.deepEqual(files[1]?.[1].Installers, [
      {
        Architecture: 'x64',
        InstallerUrl: `${url}/postern-win32-x64`,
        InstallerSha256: sha256('win32-x64').toUpperCase(),
      },
    ]);
    assert.equal(wingetManifest(new Map(), url), undefined);
  });
});

describe('Helm chart', () => {
  const chartFile = async (name: string): Promise<string> => {
    writeChart(join(folder, 'chart'));
    return readFile(join(folder, 'chart', name), 'utf8');
  };

  it('has the version of the program', async () => {
    const { version, appVersion } = parse(await chartFile('Chart.yaml'));
    assert.deepEqual([version, appVersion], [manifest.version, manifest.version]);
  });

  it('has values that its schema takes, and refuses others', async () => {
    const schema = z.fromJSONSchema(JSON.parse(await chartFile('values.schema.json')));
    const values = parse(await chartFile('values.yaml'));
    assert.deepEqual(schema.safeParse(values).error, undefined);
    for (const wrong of [
      { replicas: 'many' },
      { replicas: -1 },
      { metricsPort: 70_000 },
      { ingress: [{ hostname: 'a.example' }] },
      { token: { secretName: '', key: 'token' } },
      { env: { TUNNEL_RETRIES: 5 } },
      { tokn: {} },
    ])
      assert.equal(schema.safeParse({ ...values, ...wrong }).success, false, JSON.stringify(wrong));
  });

  it('is taken by helm, and gives the connector what it needs', async t => {
    if (!haveCommand('helm', [])) return t.skip('helm is not here, and not in Debian');
    const chart = join(folder, 'chart');
    await chartFile('Chart.yaml');
    await run('helm', ['lint', '--strict', chart]);
    const rules = [{ hostname: 'a.example.com', service: 'http://web:80' }, { service: 'http_status:404' }];
    const words = [
      'template',
      'home',
      chart,
      '--set-json',
      `ingress=${JSON.stringify(rules)}`,
      '--set',
      'env.TUNNEL_LOGLEVEL=debug',
    ];
    const documents = parseAllDocuments((await run('helm', words)).stdout).map(document => document.toJS());
    const config = documents.find(({ kind }) => kind === 'ConfigMap');
    assert.deepEqual(parse(config.data['config.yml']), { ingress: rules });
    const { template } = documents.find(({ kind }) => kind === 'Deployment').spec;
    const [container] = template.spec.containers;
    assert.equal(container.image, `registry.example.com/postern:${manifest.version}`);
    assert.deepEqual(container.env, [{ name: 'TUNNEL_LOGLEVEL', value: 'debug' }]);
    assert.equal(
      container.args.join(' '),
      'tunnel --config /etc/postern/config.yml --metrics 0.0.0.0:20241 --grace-period 30s --output json run --token-file /run/secrets/postern/token',
    );
    assert.equal(template.spec.terminationGracePeriodSeconds, 45);
    const wrong = run('helm', ['template', 'home', chart, '--set', 'replicas=many']);
    await assert.rejects(wrong, { stderr: /replicas/ });
  });
});

describe('man pages', () => {
  it('are there for every command, and mandoc has nothing to say', async t => {
    const pages = Object.entries(manPages(await loadCommandTree(), { version: manifest.version, date: '2026-01-31' }));
    const shown = commands
      .filter(({ hidden }) => hidden !== true)
      .map(({ path }) => `postern-${path.replaceAll(' ', '-')}.1`);
    for (const name of ['postern.1', ...shown])
      assert.ok(
        pages.some(([page]) => page === name),
        name,
      );
    if (!haveCommand('mandoc', ['mandoc'])) return t.skip('mandoc is not here and could not be installed');
    for (const [name, text] of pages) await writeFile(join(folder, name), text);
    const paths = pages.map(([name]) => join(folder, name));
    const linted = await run('mandoc', ['-T', 'lint', '-W', 'warning', ...paths]).catch(
      (error: { stdout: string }) => error,
    );
    assert.equal(linted.stdout, '');
    const { stdout } = await run('mandoc', ['-T', 'utf8', join(folder, 'postern-tunnel-run.1')]);
    const plain = stdout.replaceAll(/.\u0008/g, '');
    assert.match(plain, /postern-tunnel-run - Connect to the edge and serve a tunnel/);
    assert.match(plain, /--token-file FILE\n +File that holds the token of the tunnel; - is standard input/);
  });
});
