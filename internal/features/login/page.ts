// The page on which a person decides about a login. One document, without scripts or anything to load, for either colour
// scheme, any width, a keyboard and a screen reader.

import { createHash } from 'node:crypto';
import { escapeHtml } from '../../net/http/escape-html.ts';

export interface LoginForm {
  /** The field's text. */
  readonly userCode: string;
  /** Which machine asks, once the code is known. */
  readonly asking: { readonly clientName: string; readonly address: string } | undefined;
  /** What was wrong with the last try. */
  readonly problem: string | undefined;
  readonly csrf: string;
}

/** The form. Without a known code it asks for one. */
export function renderForm({ userCode, asking, problem, csrf }: LoginForm): string {
  const alert = problem === undefined ? '' : `<p class="problem" role="alert" id="problem">${escapeHtml(problem)}</p>`;
  const described = problem === undefined ? '' : ' aria-describedby="problem"';
  const who =
    asking === undefined
      ? '<p>Type the code that the program shows you.</p>'
      : `<p>A program on <b>${escapeHtml(asking.clientName)}</b> (address <b>${escapeHtml(asking.address)}</b>) asks to act for ` +
        'you on this edge. Go on only if you started it, and if it shows this very code.</p>';
  return page(
    'Log in to the edge',
    `<h1>Log in to the edge</h1>
${alert}
${who}
<form method="post" action="/login" autocomplete="off">
<input type="hidden" name="csrf" value="${escapeHtml(csrf)}">
<label for="code">Code of the program</label>
<input id="code" name="user_code" value="${escapeHtml(userCode)}" required maxlength="32" autocapitalize="characters" spellcheck="false" class="code"${asking === undefined ? ` autofocus${described}` : ''}>
<label for="secret">Your login code or API token</label>
<input id="secret" name="secret" type="password" maxlength="512" spellcheck="false" aria-describedby="hint${problem === undefined ? '' : ' problem'}"${asking === undefined ? '' : ' autofocus'}>
<p class="hint" id="hint">Whoever runs the edge gives you a login code, which is good once.</p>
<div class="buttons">
<button name="decision" value="approve">Log in</button>
<button name="decision" value="refuse" class="other">Refuse</button>
</div>
</form>`,
  );
}

/** The last page of a login. */
export function renderEnd(title: string, text: string): string {
  return page(title, `<h1>${escapeHtml(title)}</h1>\n<p role="status">${escapeHtml(text)}</p>`);
}

function page(title: string, main: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
${main}
</main>
</body>
</html>
`;
}

const style = `
:root { color-scheme: light dark; --ink: #1c1f24; --paper: #f6f7f9; --card: #fff; --line: #8a919c; --soft: #555d69;
  --act: #0b5cad; --act-ink: #fff; --bad: #a4161a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --paper: #14161a; --card: #1d2025; --line: #747c89;
  --soft: #aab1bc; --act: #7db8f5; --act-ink: #0c1420; --bad: #ff9a9a; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 30rem; margin: 8vh auto 0; padding: 1.5rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.4rem; line-height: 1.25; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input:not([type=hidden]) { width: 100%; padding: .6rem; font: inherit; color: inherit; background: var(--paper);
  border: 1px solid var(--line); border-radius: .3rem; }
.code { font-family: ui-monospace, monospace; letter-spacing: .1em; text-transform: uppercase; }
.hint { margin: .25rem 0 0; color: var(--soft); font-size: .9rem; }
.problem { margin: 0 0 1rem; padding: .6rem .8rem; color: var(--bad); border: 1px solid; border-radius: .3rem; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem; }
button { flex: 1 1 8rem; padding: .7rem; font: inherit; font-weight: 600; color: var(--act-ink); background: var(--act);
  border: 2px solid var(--act); border-radius: .3rem; cursor: pointer; }
.other { color: var(--act); background: transparent; }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
`;

/**
 * Headers of every page. The referrer stays within the edge, not nowhere: a form of a page that sends none has the origin
 * `null`, which the listener refuses.
 */
export const pageHeaders: Readonly<Record<string, string>> = {
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
  'Referrer-Policy': 'same-origin',
  'X-Frame-Options': 'DENY',
  'Cross-Origin-Opener-Policy': 'same-origin',
};
