import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { PosternError } from '../../errors/error.ts';
import type { ConfigFile } from './config-file.ts';
import { type ConfigWatcher, watchConfigFile } from './watch.ts';

const root = await mkdtemp(join(tmpdir(), 'postern-watch-'));
after(() => rm(root, { recursive: true, force: true }));
let folders = 0;

const rulesText = (status: number): string => `ingress:\n  - service: http_status:${status}\n`;

/** A watcher whose reports are awaited one by one. */
class Watched {
  readonly path: string;
  readonly seen: (ConfigFile | PosternError)[] = [];
  watcher: ConfigWatcher | undefined;
  #wake: () => void = () => undefined;

  constructor(path: string) {
    this.path = path;
  }

  async start(options: { pollMs?: number; text?: string } = {}): Promise<void> {
    const push = (report: ConfigFile | PosternError): void => {
      this.seen.push(report);
      this.#wake();
    };
    this.watcher = await watchConfigFile({
      path: this.path,
      text: options.text,
      onChange: push,
      onError: push,
      debounceMs: 20,
      pollMs: options.pollMs ?? 3_600_000,
    });
  }

  /** Waits for a report that fits; fails after ten seconds. */
  async until(what: string, fits: (report: ConfigFile | PosternError) => boolean): Promise<void> {
    const deadline = setTimeout(() => this.#wake(), 10_000);
    const end = performance.now() + 10_000;
    while (!this.seen.some(fits)) {
      if (performance.now() >= end) assert.fail(`${what} was not reported; seen: ${this.seen.map(String).join('\n')}`);
      await new Promise<void>(wake => {
        this.#wake = wake;
      });
    }
    clearTimeout(deadline);
  }

  untilStatus(status: number): Promise<void> {
    return this.until(`status ${status}`, report => statusOf(report) === `http_status:${status}`);
  }

  untilError(text: RegExp): Promise<void> {
    return this.until(String(text), report => 'code' in report && text.test(report.message));
  }
}

const statusOf = (report: ConfigFile | PosternError): string | undefined =>
  'code' in report ? undefined : report.config?.rules[0]?.service.text;

async function watched(
  prepare: (folder: string) => Promise<string>,
  options?: { pollMs?: number; text?: string },
): Promise<Watched> {
  folders += 1;
  const folder = join(root, String(folders));
  await mkdir(folder);
  const result = new Watched(await prepare(folder));
  await result.start(options);
  return result;
}

async function plainFile(folder: string): Promise<string> {
  const path = join(folder, 'config.yml');
  await writeFile(path, rulesText(200));
  return path;
}

describe('watching the config file', () => {
  it('reports a file written in place, and the last of many writes', async () => {
    const file = await watched(plainFile);
    for (let status = 201; status <= 260; status += 1) await writeFile(file.path, rulesText(status));
    await file.untilStatus(260);
    await file.watcher?.close();
    assert.equal(statusOf(file.seen.at(-1) as ConfigFile), 'http_status:260');
  });

  it('reports a file renamed over the old one, again and again', async () => {
    const file = await watched(plainFile);
    for (const status of [301, 302, 303]) {
      await writeFile(`${file.path}.new`, rulesText(status));
      await rename(`${file.path}.new`, file.path);
      await file.untilStatus(status);
    }
    await file.watcher?.close();
  });

  it('follows a directory symlink swapped as Kubernetes does', async () => {
    let folder = '';
    const file = await watched(async made => {
      folder = made;
      await mkdir(join(folder, '..v1'));
      await writeFile(join(folder, '..v1', 'config.yml'), rulesText(200));
      await symlink('..v1', join(folder, '..data'));
      await symlink('..data/config.yml', join(folder, 'config.yml'));
      return join(folder, 'config.yml');
    });
    for (const [version, status] of [
      ['..v2', 402],
      ['..v3', 403],
    ] as const) {
      await mkdir(join(folder, version));
      await writeFile(join(folder, version, 'config.yml'), rulesText(status));
      await symlink(version, join(folder, '..data_tmp'));
      await rename(join(folder, '..data_tmp'), join(folder, '..data'));
      await file.untilStatus(status);
    }
    // A write to the target of the links counts as well.
    await writeFile(join(folder, '..v3', 'config.yml'), rulesText(404));
    await file.untilStatus(404);
    await file.watcher?.close();
  });

  it('keeps what is in use when the file becomes invalid, says why once, and recovers', async () => {
    const file = await watched(plainFile);
    await writeFile(file.path, 'ingress:\n  - service: nonsense\n');
    await file.untilError(/config\.yml:2:14: nonsense is an invalid address/);
    await writeFile(file.path, rulesText(200));
    await file.untilStatus(200);
    await writeFile(file.path, rulesText(500));
    await file.untilStatus(500);
    await file.watcher?.close();
    assert.equal(file.seen.filter(report => 'code' in report).length, 1);
  });

  it('reports a file that is gone, and one that is back', async () => {
    const file = await watched(plainFile);
    await rm(file.path);
    await file.untilError(/cannot be used: it does not exist/);
    await writeFile(file.path, rulesText(501));
    await file.untilStatus(501);
    await file.watcher?.close();
  });

  it('reload reports an unchanged file; an event without change reports nothing', async () => {
    const file = await watched(plainFile);
    await writeFile(file.path, rulesText(200));
    await writeFile(join(file.path, '..', 'other'), 'x');
    file.watcher?.reload();
    await file.untilStatus(200);
    await file.watcher?.close();
    assert.equal(file.seen.length, 1);
  });

  it('notices changes without events, by looking', async () => {
    let folder = '';
    const file = await watched(
      async made => {
        folder = join(made, 'inner');
        await mkdir(folder);
        return plainFile(folder);
      },
      { pollMs: 50 },
    );
    // The watched directory is replaced: its watch is dead, and nobody watches above it.
    await rename(folder, `${folder}.old`);
    await mkdir(folder);
    await writeFile(file.path, rulesText(502));
    await file.untilStatus(502);
    await writeFile(file.path, rulesText(503));
    await file.untilStatus(503);
    await file.watcher?.close();
  });

  it('reports a difference from the text in use that came before watching', async () => {
    const file = await watched(plainFile, { text: rulesText(100) });
    await file.untilStatus(200);
    await file.watcher?.close();
  });
});
