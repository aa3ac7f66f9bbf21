// Headless Chromium as a visitor, over HTTP/2 and TLS with the edge's own CA: pages, fetch, WebSocket, server-sent events.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type BrowserContext, chromium } from 'playwright-core';
import { haveCommand } from '../support/debian-package.ts';
import { openVisitorWorld, type VisitorWorld, visitorName } from './visitor-world.ts';

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));

/** A browser that trusts the edge's CA, as a user would import it, and looks the visitors' name up here. */
async function openBrowser(t: TestContext, { directory, caFile }: VisitorWorld): Promise<BrowserContext> {
  const database = join(directory, '.pki/nssdb');
  await mkdir(database, { recursive: true });
  const certutil = (...args: string[]) => run('certutil', ['-d', `sql:${database}`, ...args], { timeout: 60_000 });
  await certutil('-N', '--empty-password');
  await certutil('-A', '-t', 'C,,', '-n', 'edge', '-i', caFile);
  const flags =
    '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking ' +
    '--disable-component-update --disable-sync';
  const browser = await chromium.launchPersistentContext(join(directory, 'profile'), {
    executablePath: '/usr/bin/chromium',
    args: [...flags.split(' '), `--host-resolver-rules=MAP ${visitorName} 127.0.0.1`, '--no-proxy-server'],
    env: { PATH: process.env.PATH ?? '', HOME: directory },
    timeout: 90_000,
  });
  t.after(() => browser.close());
  return browser;
}

for (const protocol of ['http2', 'quic'] as const) {
  it(`Chromium visits over HTTP/2, through a connector over ${protocol}`, { timeout: 180_000 }, async t => {
    if (!haveCommand('chromium', ['chromium']) || !haveCommand('certutil', ['libnss3-tools'])) {
      t.skip('chromium and certutil are not here and could not be installed (packages chromium, libnss3-tools)');
      return;
    }
    const visited = await openVisitorWorld(t, protocol);
    const browser = await openBrowser(t, visited);
    const page = await browser.newPage();
    await page.goto(`https://${visitorName}:${visited.world.httpsPort}/page`);
    assert.equal(await page.title(), 'visited');
    assert.deepEqual(await page.evaluate(`(${await readFile(join(here, 'chromium-visit.js'), 'utf8')})()`), {
      echoed: true,
      many: true,
      big: 1 << 20,
      head: String(1 << 20),
      none: 204,
      redirected: 'GET',
      cookies: 'a=1',
      protocol: 'h2',
      events: ['1', '2', '3'],
      message: true,
    });
  });
}
