// `explain URL`: sends one real request, follows it hop by hop, and says where and why it fails. Exit codes: 0 when it came
// through, 1 when not.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigFile } from '../../internal/config/file/config-file.ts';
import { isPosternError, PosternError } from '../../internal/errors/error.ts';
import { maxPemBytes, readText } from '../../internal/net/file/read-text.ts';
import { systemRoots } from '../../internal/net/trust/system-roots.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { resolvePath } from '../resolve-path.ts';
import { type ApiSession, openApi } from '../tunnel/api.ts';
import { findLocalEdge } from '../tunnel/local-edge.ts';
import { loadSettings } from '../tunnel/settings.ts';
import { type Explanation, type Findings, formatExplanation, type HopName, judgeHops } from './hops.ts';
import { type LookedUp, lookUp, ruleOf } from './look-up.ts';
import { type Answered, type Visit, visit } from './visit.ts';

export const command = defineCommand({
  description:
    'Sends one GET request to the URL and follows it: name, edge, route, tunnel, connection, connector, rule, origin. Names ' +
    "the hop that fails, why, and what to do. With the API credential of the edge's account it tells more. Exits with 1 when " +
    'the request fails.',
  positionals: [{ name: 'URL', description: 'An address as a visitor would type it, with scheme' }],
  flags: [
    outputFlag,
    {
      name: 'address',
      type: 'string',
      valueName: 'IP',
      description: 'Ask the edge at this address, whatever the name resolves to',
    },
    { name: 'timeout', type: 'duration', default: '30s', description: 'How long to wait for the answer' },
  ],
  examples: [
    ['postern explain http://app.localhost:8080/', 'On the machine of an edge'],
    ['postern explain https://app.example.com/ --address 203.0.113.7', 'Before DNS leads the name there'],
  ],
  run: async (invocation, context) => {
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    const url = parseUrl(invocation.args[0] ?? '');
    const { settings, file } = await loadSettings(invocation, context);
    const api = await sessionIfAny(() => openApi(invocation, context));
    const ca = [...systemRoots(), ...(await extraRoots(settings.cacert, context))];
    const [visited, known] = await Promise.all([
      visit({ url, ca, address: flags.address || undefined, timeoutMs: flags.timeoutMs }),
      api === undefined ? withoutApi(file, url) : lookUp(api, url, file),
    ]);
    const explanation = explain(url, visited, known);
    if (format === undefined) context.stdout.write(formatExplanation(explanation));
    else writeFormatted(context, format, explanation);
    return explanation.failed === null ? 0 : 1;
  },
});

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new PosternError('usage.invalid', `${JSON.stringify(text)} is not a URL with http:// or https://`);
  return url;
}

/** Without a credential less is known; a damaged one is worth a word. */
async function sessionIfAny(open: () => Promise<ApiSession>): Promise<ApiSession | undefined> {
  try {
    return await open();
  } catch (error) {
    if (isPosternError(error, 'credentials.not-found')) return undefined;
    throw error;
  }
}

/** The CA of `--cacert` and that of the edge of this machine. */
async function extraRoots(named: string | undefined, context: CommandContext): Promise<readonly string[]> {
  const roots: string[] = [];
  if (named !== undefined && named !== '') {
    const path = resolvePath(named, context);
    try {
      roots.push(await readText(path, maxPemBytes));
    } catch (cause) {
      throw new PosternError('config.invalid', `Cannot read the CA file ${path} of --cacert`, { cause });
    }
  }
  for (const directory of findLocalEdge(context).stateDirs) {
    // Most machines have no edge.
    const text = await readFile(join(directory, 'ca.pem'), 'utf8').catch(() => undefined);
    if (text !== undefined) roots.push(text);
  }
  return roots;
}

/** The rules of this machine's file count when one of them names the host. */
function withoutApi(file: ConfigFile | undefined, url: URL): LookedUp {
  const names = file?.config?.rules.some(({ hostname }) => hostname !== '' && hostname === url.hostname) === true;
  return { findings: names ? ruleOf(file?.config, url) : {}, broken: undefined };
}

/** Joins what the request met and what is known of its way. What it met counts. */
function explain(url: URL, visited: Visit, known: LookedUp): Explanation {
  const found: Findings = { ...known.findings };
  const name = url.hostname;
  const shown = { url: url.href, status: undefined, tookMs: undefined, requestId: undefined };
  const finish = (failed: HopName | null, extra: Findings, answer: Partial<Explanation> = {}): Explanation => ({
    ...{ ...shown, ...answer, failed },
    hops: judgeHops({ ...found, ...extra }, failed),
  });
  if (visited.kind === 'unnamed') {
    const remedy =
      'add a DNS record for it that leads to the edge, or a line in the hosts file; --address asks without one';
    return finish('name', { name: { text: `${name} cannot be resolved (${visited.reason})`, remedy } });
  }
  const resolved = { name: { text: `${name} is ${visited.address.replace(/:\d+$/, '')}` } };
  if (visited.kind === 'unanswered') return finish('edge', { ...resolved, edge: unanswered(visited, url) });
  const { requestId, status, tookMs } = visited;
  const answer = { requestId, status, tookMs };
  const edge = { text: `${visited.address} answers` };
  const failed = failedHopOf(visited, known);
  if (failed === null) {
    const service = known.findings.origin?.text;
    const by = service === undefined ? '' : `${service} `;
    return finish(null, { ...resolved, edge, origin: { text: `${by}answered ${status}` } }, answer);
  }
  const reason = reasonOf(visited, failed, known);
  return finish(failed, { ...resolved, edge, [failed]: reason }, answer);
}

function unanswered({ address, reason, step }: Extract<Visit, { kind: 'unanswered' }>, url: URL) {
  const texts = {
    connect: `no connection to ${address} (${reason})`,
    tls: `no TLS connection to ${address} (${reason})`,
    answer: `${address} took the request and did not answer it (${reason})`,
  };
  const remedies = {
    connect: 'see that an edge runs and listens on that address and port, and that no firewall is in between',
    tls: `trust the edge's CA (--cacert), give the edge a certificate for ${url.hostname}, or check the clock`,
    answer: "look at the edge's log, or give the answer longer: --timeout",
  };
  return { text: texts[step], remedy: remedies[step] };
}

/** Problems of the edge's own answers that tell more than the hop. */
const hopsOfCodes: Readonly<Record<string, HopName>> = {
  'no-route': 'route',
  'no-connector': 'connection',
  lost: 'connection',
};

function failedHopOf({ failedHop, problem, status }: Answered, known: LookedUp): HopName | null {
  if (failedHop !== undefined) {
    const byCode = problem?.code === undefined ? undefined : hopsOfCodes[problem.code];
    if (byCode !== undefined) return byCode;
    // The connector's own answers have no code: one of its rules refused the request.
    if (failedHop === 'connector') return problem?.code === undefined ? 'rule' : 'connector';
    return failedHop === 'origin' ? 'origin' : 'edge';
  }
  if (status < 500) return null;
  // An edge that names no hop: what the API says of the way is the best guess.
  return known.broken ?? 'origin';
}

function reasonOf({ failedHop, problem, status }: Answered, failed: HopName, known: LookedUp) {
  if (failedHop === undefined && failed === 'origin') {
    const by = known.findings.origin === undefined ? '' : `${known.findings.origin.text}: `;
    const text = `${by}the answer is ${status}, and no hop before says that it failed`;
    return { text, remedy: "look at the service's own log" };
  }
  const looked = known.findings[failed];
  // The API knows names to put into the remedy.
  if (known.broken === failed && looked !== undefined) return looked;
  const service = failed === 'origin' && looked !== undefined ? `${looked.text}: ` : '';
  return { text: `${service}${problem?.text || `answered ${status}`}`, remedy: problem?.remedy };
}
