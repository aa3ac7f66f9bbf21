// The login page in headless Chromium, without JavaScript: by keyboard alone, in both colour schemes, on a narrow screen; and a
// form of another site.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { it } from 'node:test';
import { chromium } from 'playwright-core';
import { createApiToken, digestApiToken } from '../../internal/store/secret-box.ts';
import { haveCommand } from '../support/debian-package.ts';
import { EdgeWorld } from '../support/edge-world.ts';
import { listen } from '../support/origin-server.ts';
import { temporaryDirectory } from '../support/program.ts';

/** Evaluated in the page: the lowest contrast of a text with what is behind it (WCAG 2.2, 1.4.3), and what sticks out. */
const measure = `(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let one = element; one !== null; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const ratios = [...document.querySelectorAll('h1, p, b, label, input:not([type=hidden]), button')].map(element => {
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  });
  const { scrollWidth, clientWidth } = document.documentElement;
  return { contrast: Math.min(...ratios), overflow: scrollWidth - clientWidth };
})()`;

it('the login page serves a keyboard, both colour schemes and a narrow screen, without JavaScript', {
  timeout: 120_000,
}, async t => {
  if (!haveCommand('chromium', ['chromium'])) {
    t.skip('chromium is not here and could not be installed');
    return;
  }
  const world = await EdgeWorld.open(t);
  const { apiUrl, store } = world.edge;
  const { origin } = new URL(apiUrl);
  const { tag } = (await store.accounts.byName('local')) ?? assert.fail();
  const token = createApiToken();
  await store.accounts.addToken({ digest: digestApiToken(token), accountTag: tag, label: 't', createdAtMs: 0 });
  const begin = async () => {
    const form = new URLSearchParams({ client_id: 'postern', client_name: 'a-laptop-with-quite-a-long-name.example' });
    const answer = await fetch(`${origin}/oauth/device_authorization`, { method: 'POST', body: form });
    return (await answer.json()) as { verification_uri_complete: string; user_code: string };
  };
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server'],
    env: { PATH: process.env.PATH ?? '', HOME: await temporaryDirectory(t) },
  });
  t.after(() => browser.close());

  for (const colorScheme of ['light', 'dark'] as const) {
    const { verification_uri_complete: url } = await begin();
    const context = await browser.newContext({
      ...{ colorScheme, javaScriptEnabled: false, viewport: { width: 320, height: 640 } },
    });
    const page = await context.newPage();
    const shot = async (name: string): Promise<void> => {
      const { contrast, overflow } = (await page.evaluate(measure)) as { contrast: number; overflow: number };
      assert.ok(contrast >= 4.5, `${name} in ${colorScheme}: contrast ${contrast}`);
      assert.equal(overflow, 0, `${name} in ${colorScheme} is wider than the screen`);
      const { SCREENSHOTS: directory } = process.env;
      if (directory !== undefined) await page.screenshot({ path: `${directory}/${colorScheme}-${name}.png` });
    };
    await page.goto(url);
    await shot('form');
    // The cursor stands in the field that is to be filled in.
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    await shot('wrong');
    await page.keyboard.type(token);
    await page.keyboard.press('Tab');
    assert.equal(await page.locator(':focus').textContent(), 'Log in');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
    await shot('end');
    await context.close();
  }

  const { user_code: code } = await begin();
  const trap = await listen(
    t,
    createServer((_request, response) => {
      const fields = Object.entries({ user_code: code, secret: token, decision: 'approve' });
      const inputs = fields.map(([name, value]) => `<input name="${name}" value="${value}">`).join('');
      response.setHeader('Content-Type', 'text/html');
      response.end(`<form method="post" action="${origin}/login">${inputs}<button>Win a prize</button></form>`);
    }),
  );
  const page = await browser.newPage();
  await page.goto(`${origin}/login`);
  await page.goto(`http://127.0.0.1:${trap}/`);
  await page.getByRole('button').click();
  await page.waitForURL(`${origin}/login`);
  assert.match((await page.textContent('body')) ?? '', /Web pages of other sites may not use this API/);
});
