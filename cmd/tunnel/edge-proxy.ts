// The forward proxy on the way to the edge, from its settings: a URL, or the proxy of the environment by choice. Its password
// never comes from the command line, which every user of the machine can read. Source: docs/operating.md, "Through a proxy".

import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { readSecretFile } from '../../internal/credentials/secret-file.ts';
import { describeError, foreignCode, isPosternError, PosternError } from '../../internal/errors/error.ts';
import type { HostPort } from '../../internal/net/address/host-port.ts';
import { isLoopbackHost } from '../../internal/net/address/ip.ts';
import { type ForwardProxy, parseForwardProxy } from '../../internal/net/proxy/forward-proxy.ts';
import { chooseProxy, type OutboundProxySettings } from '../../internal/origin/dial/outbound-proxy.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';

/** The value of --edge-proxy that takes the proxy of the environment. */
const fromEnvironment = 'env';

/**
 * The proxy for `target`; undefined = the way is direct. Throws 'usage.invalid' for a password on the command line,
 * 'config.invalid' for what is no proxy, 'credentials.invalid' for a file that others can read.
 */
export function resolveEdgeProxy(
  settings: Pick<TunnelSettings, 'edgeProxy' | 'edgeProxyAuthFile' | 'sources'>,
  target: HostPort,
  context: CommandContext,
): ForwardProxy | undefined {
  const { edgeProxy, edgeProxyAuthFile: authFile, sources } = settings;
  const hasFile = authFile !== undefined && authFile !== '';
  if (edgeProxy === undefined || edgeProxy === '') {
    if (hasFile)
      throw new PosternError('usage.invalid', '--edge-proxy-auth-file needs the proxy itself: --edge-proxy URL');
    return undefined;
  }
  if (edgeProxy === fromEnvironment)
    return withAuthFile(
      chooseProxy(proxiesOfEnvironment(context.env), 'https', target.host, target.port),
      authFile,
      context,
    );
  const proxy = parseForwardProxy(edgeProxy);
  if (proxy.password !== '' && sources['edge-proxy'] === 'flag') {
    throw new PosternError(
      'usage.invalid',
      'The URL of --edge-proxy has a password, which every user of this machine can read there. Put USER:PASSWORD into a ' +
        'file for --edge-proxy-auth-file, or the whole URL into POSTERN_EDGE_PROXY',
    );
  }
  return withAuthFile(proxy, authFile, context);
}

/** The same for a web address of the control plane. An edge on this machine is asked directly. */
export function resolveApiProxy(
  settings: Pick<TunnelSettings, 'edgeProxy' | 'edgeProxyAuthFile' | 'sources'>,
  url: string,
  context: CommandContext,
): ForwardProxy | undefined {
  const parsed = URL.parse(url);
  if (parsed === null || isLoopbackHost(parsed.hostname)) return undefined;
  const usualPort = parsed.protocol === 'https:' ? 443 : 80;
  const target = { host: parsed.hostname, port: parsed.port === '' ? usualPort : Number(parsed.port) };
  return resolveEdgeProxy(settings, target, context);
}

/** Upper case wins over lower case, as Go has it. */
export function proxiesOfEnvironment(env: CommandContext['env']): OutboundProxySettings {
  const read = (name: string): string => env[name] || env[name.toLowerCase()] || '';
  return { httpProxy: read('HTTP_PROXY'), httpsProxy: read('HTTPS_PROXY'), noProxy: read('NO_PROXY') };
}

function withAuthFile(
  proxy: ForwardProxy | undefined,
  authFile: string | undefined,
  context: CommandContext,
): ForwardProxy | undefined {
  if (proxy === undefined || authFile === undefined || authFile === '') return proxy;
  const path = resolvePath(authFile, context);
  const text = readAuthFile(path).trim();
  const colon = text.indexOf(':');
  if (colon < 1 || text.includes('\n'))
    throw new PosternError(
      'config.invalid',
      `The file ${path} of --edge-proxy-auth-file must hold one line, USER:PASSWORD`,
    );
  return { ...proxy, user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function readAuthFile(path: string): string {
  let text: string | undefined;
  try {
    text = readSecretFile(path, 'The file of --edge-proxy-auth-file');
  } catch (error) {
    if (isPosternError(error)) throw error;
    const reason = foreignCode(error) ?? describeError(error);
    throw new PosternError('config.invalid', `Cannot read ${path} of --edge-proxy-auth-file (${reason})`, {
      cause: error,
    });
  }
  if (text === undefined) throw new PosternError('config.invalid', `${path} of --edge-proxy-auth-file does not exist`);
  return text;
}
