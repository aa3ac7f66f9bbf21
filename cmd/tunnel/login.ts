// `tunnel login [EDGE]`: gets an API token from an edge, by a browser page or from a file, and writes it to cert.pem.
// Source: docs/protocol/commands-and-api.md §7.3, §8; RFC 8628.

import { hostname } from 'node:os';
import { join } from 'node:path';
import { createApiClient } from '../../internal/api/client.ts';
import { logIn } from '../../internal/api/login-client.ts';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { encodeOriginCert } from '../../internal/credentials/origin-cert.ts';
import {
  createPrivateFile,
  makePrivateDirectory,
  readPrivateFile,
  replacePrivateFile,
} from '../../internal/credentials/private-file.ts';
import { certName, defaultProfile, profileDirectory } from '../../internal/credentials/profiles.ts';
import { describeError, PosternError } from '../../internal/errors/error.ts';
import { bracketed } from '../../internal/net/address/host-port.ts';
import { isLoopbackHost } from '../../internal/net/address/ip.ts';
import { fetchPinnedCa } from '../../internal/net/trust/pinned-ca.ts';
import type { DeviceAuthorization } from '../../internal/schema/api/login.ts';
import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { openBrowser } from '../open-browser.ts';
import { resolvePath } from '../resolve-path.ts';
import { namedCa, userAgent } from './api.ts';
import { cloudflarePages, logInToCloudflare } from './cloudflare-login.ts';
import { resolveApiProxy } from './edge-proxy.ts';
import { readCa } from './find-cert.ts';
import { findLocalEdge } from './local-edge.ts';
import { readTokenFile } from './run-token.ts';
import { loadSettings } from './settings.ts';

/** Where an edge has its API unless it is told otherwise. */
const defaultApiPort = 7845;
const apiPath = '/client/v4';
const connectMs = 15_000;

export const command = defineCommand({
  description:
    'Logs in to an edge: shows the address of a page and a code, waits until you have confirmed it there in any browser, with ' +
    'a login code or an API token, and writes cert.pem. Without EDGE it is the edge of this machine, or Cloudflare where none runs.',
  positionals: [
    { name: 'EDGE', description: 'Its API as a URL, or host[:port]; the port is 7845 by default', optional: true },
  ],
  flags: [
    {
      name: 'token-file',
      type: 'string',
      valueName: 'FILE',
      description: 'Take the API token from this file, and ask nobody',
    },
    {
      name: 'ca-pin',
      type: 'string',
      valueName: 'SHA256',
      description: 'Pin of the edge’s own CA, as "postern user add" prints it; --cacert names the CA itself',
    },
    {
      name: 'loginURL',
      type: 'string',
      valueName: 'URL',
      description: 'Page of Cloudflare’s dashboard on which you confirm',
    },
    {
      name: 'callbackURL',
      type: 'string',
      valueName: 'URL',
      description: 'Where Cloudflare puts the certificate, and we fetch it',
    },
    {
      name: 'fedramp',
      aliases: ['f'],
      type: 'boolean',
      description: 'Log in to Cloudflare for governments',
    },
  ],
  examples: [
    ['postern tunnel login https://edge.example.com:7845', 'As ~/.postern/cert.pem'],
    ['postern tunnel --profile work login edge.example.com', 'As the profile work, beside others'],
  ],
  run: async (invocation, context) => {
    const { args, flags } = invocation;
    const { settings } = await loadSettings(invocation, context);
    const directory = profileDirectory(context.homeDir, settings.profile || defaultProfile);
    const path = join(directory, certName);
    if ((readPrivateFile(path) ?? '').trim() !== '') {
      // The exit code is cloudflared's.
      context.stderr.write(
        `You have an existing certificate at ${path} which login would overwrite.\nIf this is intentional, please move or ` +
          'delete that file and run this command again, or log in to a profile with --profile NAME.\n',
      );
      return;
    }
    const { running } = findLocalEdge(context);
    const wantsCloudflare = flags.loginURL || flags.callbackURL || flags.fedramp || running === undefined;
    if (args[0] === undefined && wantsCloudflare) {
      const pages = flags.fedramp ? cloudflarePages.fedramp : cloudflarePages.world;
      const { text } = await untilStopped(context, signal =>
        logInToCloudflare({
          loginUrl: flags.loginURL || pages.loginUrl,
          callbackUrl: flags.callbackURL || pages.callbackUrl,
          fedramp: flags.fedramp,
          proxyFor: url => resolveApiProxy(settings, url, context),
          show: url => showPage(url, undefined, context),
          signal,
        }),
      );
      makePrivateDirectory(directory);
      keepCert(path, text);
      context.stderr.write(successText('Cloudflare', path));
      return;
    }
    const edge = await findEdge(args[0], { ...settings, caPin: flags.caPin }, context);
    const proxy = resolveApiProxy(settings, edge.origin, context);
    const apiToken =
      flags.tokenFile === undefined || flags.tokenFile === ''
        ? await askPerson({ ...edge, proxy }, context)
        : readTokenFile(resolvePath(flags.tokenFile, context));
    const apiUrl = `${edge.origin}${apiPath}`;
    const client = createApiClient({ apiUrl, apiToken, userAgent, caPem: edge.caPem, proxy });
    const { account, user, zone } = await client.whoAmI({ params: {} });
    makePrivateDirectory(directory);
    if (edge.caPem !== undefined) replacePrivateFile(join(directory, 'ca.pem'), edge.caPem, 0o644);
    keepCert(path, encodeOriginCert({ zoneId: zone.id, accountId: account.id, apiToken, apiUrl }));
    const who = user === null ? `account ${account.name}` : `${user.name} in account ${account.name}`;
    context.stderr.write(successText(who, path));
  },
});

/** Another program may have logged in meanwhile. */
function keepCert(path: string, text: string): void {
  if (!createPrivateFile(path, text))
    throw new PosternError('file.failed', `${path} was written by somebody else meanwhile; nothing was changed`);
}

function successText(who: string, path: string): string {
  return (
    `You have successfully logged in as ${printableLine(who)}.\nIf you wish to copy your credentials to a server, they have ` +
    `been saved to:\n${path}\n`
  );
}

function showPage(url: string, code: string | undefined, context: CommandContext): void {
  const shown = code === undefined ? '' : `The page must show this code: ${printableLine(code)}\n`;
  const how = code === undefined ? 'log in' : 'log in with your login code or API token';
  context.stderr.write(
    `Please open the following URL, in any browser, and ${how}:\n\n${url}\n\n${shown}Waiting for login...\n`,
  );
  openBrowser(url, context);
}

/** A signal breaks off what waits for a person. */
async function untilStopped<T>(context: CommandContext, wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort(new PosternError('api.unauthorized', 'The login was broken off'));
  const unlisten = [context.onSignal('SIGINT', stop), context.onSignal('SIGTERM', stop)];
  try {
    return await wait(stopped.signal);
  } catch (error) {
    throw stopped.signal.aborted ? stopped.signal.reason : error;
  } finally {
    for (const end of unlisten) end();
  }
}

interface FoundEdge {
  /** Scheme, host and port. */
  readonly origin: string;
  readonly caPem: string | undefined;
}

async function findEdge(
  named: string | undefined,
  settings: Pick<TunnelSettings, 'cacert'> & { readonly caPin: string | undefined },
  context: CommandContext,
): Promise<FoundEdge> {
  const { running } = findLocalEdge(context);
  if (named === undefined && running !== undefined) {
    const { origin, protocol } = new URL(running.apiUrl);
    return { origin, caPem: protocol === 'https:' ? readCa(join(running.stateDir, 'ca.pem')) : undefined };
  }
  const url = parseEdge(named ?? '');
  if (url.protocol === 'http:') return { origin: url.origin, caPem: undefined };
  return { origin: url.origin, caPem: namedCa(settings, context) ?? (await pinnedCa(url, settings.caPin)) };
}

/** A URL, or host[:port]. Throws 'usage.invalid'; plain HTTP is for this machine only. */
function parseEdge(text: string): URL {
  const isUrl = /^https?:\/\//i.test(text);
  const url = URL.parse(isUrl ? text : `https://${text.includes('::') ? bracketed(text) : text}`);
  if (url === null || url.username !== '' || url.password !== '' || !/^(\/|\/client\/v4\/?)$/.test(url.pathname))
    throw new PosternError('usage.invalid', `${JSON.stringify(text)} is not an edge: give https://HOST:PORT`);
  if (!isUrl && url.port === '') url.port = String(defaultApiPort);
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    throw new PosternError(
      'usage.invalid',
      `${url.origin} is not encrypted, and an API token would pass there: use https`,
    );
  }
  return url;
}

async function pinnedCa(url: URL, pin: string | undefined): Promise<string | undefined> {
  if (pin === undefined || pin === '') return undefined;
  if (!/^[0-9a-f]{64}$/i.test(pin))
    throw new PosternError('usage.invalid', `--ca-pin ${JSON.stringify(pin)} is not a SHA-256 of 64 hex digits`);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? 443 : Number(url.port);
  let found: string | undefined;
  try {
    const signal = AbortSignal.timeout(connectMs);
    found = await fetchPinnedCa({ host, port, pin: pin.toLowerCase(), signal });
  } catch (cause) {
    throw new PosternError('api.failed', `Cannot reach ${url.origin}: ${describeError(cause)}`, { cause });
  }
  if (found === undefined)
    throw new PosternError(
      'tls.failed',
      `${url.origin} shows no CA of the pin ${pin}: it is another edge, or somebody between`,
    );
  return found;
}

function askPerson(
  edge: FoundEdge & { readonly proxy: ReturnType<typeof resolveApiProxy> },
  context: CommandContext,
): Promise<string> {
  const show = (codes: DeviceAuthorization): void => {
    // The page is the edge's own, whatever it says: another one could take the login code.
    const said = URL.parse(codes.verification_uri_complete ?? codes.verification_uri, edge.origin);
    showPage(`${edge.origin}${said?.pathname ?? ''}${said?.search ?? ''}`, codes.user_code, context);
  };
  return untilStopped(context, signal => logIn({ ...edge, userAgent, clientName: hostname(), show, signal }));
}
