// The page that browsers are shown when a request failed: visitor → edge → connector → origin with the failing hop marked.
// The document is one string, without scripts or anything to load: it must show when nothing else works.

import { createHash } from 'node:crypto';
import { escapeHtml } from '../net/http/escape-html.ts';
import type { ErrorPage, Hop, ProblemFacts } from './problem.ts';

/** The built-in page. */
export function createErrorPage(): ErrorPage {
  const hash = createHash('sha256').update(style).digest('base64');
  return {
    headers: [
      'Content-Security-Policy',
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    ],
    render,
  };
}

const hops: readonly { readonly hop: Hop | 'visitor'; readonly name: string; readonly what: string }[] = [
  { hop: 'visitor', name: 'You', what: 'your browser' },
  { hop: 'edge', name: 'Edge', what: 'the public server' },
  { hop: 'connector', name: 'Connector', what: 'beside the service' },
  { hop: 'origin', name: 'Origin', what: 'the service itself' },
];

/** Whose the failing hop is, and so who reads the remedy. */
const owners: Readonly<Record<Hop, string>> = {
  edge: 'What can be done',
  connector: 'If you run this site',
  origin: 'If you run this site',
};

function render(facts: ProblemFacts): string {
  const { status, title, text, remedy, hop, host, requestId } = facts;
  const failing = hops.findIndex(one => one.hop === hop);
  const drawn = hops.map(({ name, what }, at) => {
    const state = at < failing ? 'fine' : at === failing ? 'failed' : 'unreached';
    const said = { fine: 'works', failed: 'failed here', unreached: 'not reached' }[state];
    return `<li class="${state}"><i aria-hidden="true"></i><b>${name}</b><span>${what}</span><em>${said}</em></li>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${status} ${escapeHtml(title)}: ${escapeHtml(host)}</title>
<style>${style}</style>
</head>
<body>
<main>
<p class="status">${status} ${escapeHtml(title)}</p>
<h1>${escapeHtml(text)}</h1>
<p class="host">${escapeHtml(host)}</p>
<ol aria-label="The way of your request">
${drawn.join('\n')}
</ol>
<section>
<h2>${owners[hop]}</h2>
<p>${escapeHtml(remedy)}</p>
</section>
<footer>Request id <code>${escapeHtml(requestId)}</code>: the logs of the edge and the connector know this request by it.</footer>
</main>
</body>
</html>
`;
}

/** Colours have a contrast of 4.5 : 1 and more on their ground (WCAG 2.2, 1.4.3), in both schemes. */
const style = `
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --text: #1b1f24; --quiet: #57606a; --line: #d0d7de;
  --fine: #1a7f37; --failed: #cf222e; --wash: #ffebe9; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0d1117; --card: #161b22; --text: #e6edf3; --quiet: #9198a1; --line: #3d444d;
    --fine: #3fb950; --failed: #ff7b72; --wash: #33191c; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { width: min(46rem, 100%); padding: 2rem 1.25rem; }
h1 { margin: .25rem 0; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 0 0 .25rem; font-size: 1rem; }
p { margin: 0; }
.status { color: var(--failed); font-weight: 600; }
.host { color: var(--quiet); overflow-wrap: anywhere; }
ol { list-style: none; margin: 2rem 0; padding: 0; display: flex; }
li { flex: 1; position: relative; display: flex; flex-direction: column; align-items: center; text-align: center; }
li + li::before { content: ""; position: absolute; top: 1.25rem; right: calc(50% + 1.5rem); width: calc(100% - 3rem);
  border-top: 2px solid var(--fine); }
li.failed::before { border-top-color: var(--failed); border-top-style: dashed; }
li.unreached::before { border-top-color: var(--line); }
i { width: 2.5rem; height: 2.5rem; margin-bottom: .5rem; border: 2px solid var(--line); border-radius: 50%; display: grid;
  place-items: center; background: var(--card); font-style: normal; font-weight: 700; }
.fine i { border-color: var(--fine); color: var(--fine); }
.fine i::before { content: "\\2713"; }
.failed i { border-color: var(--failed); background: var(--failed); color: var(--card); }
.failed i::before { content: "\\2715"; }
li span, li em { font-size: .85rem; color: var(--quiet); font-style: normal; }
.failed em { color: var(--failed); font-weight: 600; }
.unreached b { color: var(--quiet); }
section { padding: 1rem 1.25rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  overflow-wrap: anywhere; }
footer { margin-top: 1.25rem; font-size: .85rem; color: var(--quiet); }
code { font: .85rem ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; color: var(--text); }
@media (max-width: 34rem) {
  ol { flex-direction: column; gap: 1.25rem; margin: 1.5rem 0; }
  li { display: grid; grid-template-columns: 2.5rem 1fr auto; column-gap: .75rem; align-items: center; text-align: left; }
  li i { grid-row: 1 / 3; margin: 0; }
  li b { grid-column: 2; } li span { grid-column: 2; } li em { grid-column: 3; grid-row: 1 / 3; }
  li + li::before { top: -1.25rem; left: calc(1.25rem - 1px); right: auto; width: 0; height: 1.25rem; border-top: 0;
    border-left: 2px solid var(--fine); }
  li.failed::before { border-left: 2px dashed var(--failed); }
  li.unreached::before { border-left-color: var(--line); }
}
`;
