// One rule from flags: --hello-world, else --bastion, else --url, else --unix-socket. Source:
// docs/protocol/ingress-and-origin.md §1, §4 (last column), §15.

import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { PosternError } from '../errors/error.ts';
import { bracketed } from '../net/address/host-port.ts';
import { parseGoUrl } from '../schema/go-url.ts';
import type { IngressRule } from '../schema/ingress-rule.ts';
import { type OriginRequest, originRequestDefaults } from '../schema/origin-request.ts';
import { parseService, redactUserinfo } from '../schema/parse-service.ts';
import type { Service } from '../schema/service.ts';
import type { TunnelSettings } from './tunnel-settings.ts';

/** The settings that make up a single origin. */
export type OriginSettings = Pick<
  TunnelSettings,
  | 'url'
  | 'helloWorld'
  | 'unixSocket'
  | 'bastion'
  | 'socks5'
  | 'proxyConnectTimeoutMs'
  | 'proxyTlsTimeoutMs'
  | 'proxyTcpKeepaliveMs'
  | 'proxyNoHappyEyeballs'
  | 'proxyKeepaliveConnections'
  | 'proxyKeepaliveTimeoutMs'
  | 'httpHostHeader'
  | 'originServerName'
  | 'originCaPool'
  | 'noTlsVerify'
  | 'noChunkedEncoding'
  | 'http2Origin'
>;

/** The rule that the flags ask for; undefined when they ask for none. Throws 'usage.invalid'. */
export function singleOriginRule(settings: OriginSettings): IngressRule | undefined {
  const service = singleOriginService(settings);
  if (service === undefined) return undefined;
  return { index: 0, hostname: '', path: '', service, originRequest: originRequestOfFlags(settings) };
}

function singleOriginService(settings: OriginSettings): Service | undefined {
  const { url, unixSocket } = settings;
  if (unixSocket !== undefined && url !== undefined)
    throw new PosternError('usage.invalid', '--unix-socket must be used exclusively. Leave out --url');
  if (settings.helloWorld && url !== undefined)
    throw new PosternError('usage.invalid', '--hello-world and --url name two services. Leave out one of them');
  if (settings.helloWorld) return { kind: 'hello-world', text: 'hello_world' };
  if (settings.bastion) return { kind: 'bastion', text: 'bastion' };
  if (url !== undefined) return urlService(url);
  if (unixSocket === undefined || unixSocket === '') return undefined;
  return { kind: 'unix', text: `unix:${unixSocket}`, path: unixSocket, tls: false };
}

function urlService(url: string): Service {
  // Sockets are written as in a rule; they have no host to check.
  const validated = /^unix(\+tls)?:/i.test(url.trim()) ? url.trim() : validateOriginUrl(url);
  const parsed = parseService(validated, false);
  if ('fault' in parsed) return refuse(`${parsed.fault.text}. ${parsed.fault.remedy}`);
  const { service } = parsed;
  if (service.kind === 'unix' && service.path === '') return refuse('unix: needs a path, such as unix:/run/app.sock');
  return service;
}

const schemes = ['http', 'https', 'h2c', 'rdp', 'ssh', 'smb', 'tcp'];

/**
 * Brings what a person types as an origin into URL form: `localhost:3000`, `::1`, `https://host/path`. The path is dropped:
 * only host and port are used for proxying. Throws 'usage.invalid' with the texts of cloudflared.
 */
export function validateOriginUrl(text: string): string {
  const typed = text.trim();
  if (typed === '') return refuse('URL should not be empty');
  if (/^\d{1,5}$/.test(typed)) return refuse(`${typed} is a port, not a host. Write http://localhost:${typed}`);
  if (isIP(typed) !== 0) return `http://${bracketed(typed)}`;
  if (isIP(typed.replace(/^\[(.*)\]$/, '$1')) === 6) return `http://${typed}`;

  const separator = typed.indexOf('://');
  if (separator !== -1) {
    const scheme = typed.slice(0, separator).toLowerCase();
    if (!schemes.includes(scheme))
      return refuse(
        `Currently Postern does not support ${scheme} protocol. Use one of ${schemes.join(', ')}, or unix:PATH`,
      );
  }
  const absolute = separator === -1 ? `http://${typed}` : typed;
  const parsed = parseGoUrl(absolute);
  if ('reason' in parsed) return refuse(`parse ${JSON.stringify(redactUserinfo(absolute))}: ${parsed.reason}`);
  const { scheme, hostname, port } = parsed.url;
  if (hostname === '') return refuse(`${typed} has no host name. Write for example http://localhost:3000`);
  return `${scheme}://${toAsciiHost(hostname)}${port === '' ? '' : `:${port}`}`;
}

function toAsciiHost(hostname: string): string {
  if (hostname.includes(':')) return bracketed(hostname.replaceAll('%', '%25'));
  if (/^[\0-\x7f]*$/.test(hostname)) return hostname;
  const ascii = domainToASCII(hostname);
  return ascii === '' ? refuse(`${hostname} is not a valid host name`) : ascii;
}

function refuse(reason: string): never {
  throw new PosternError('usage.invalid', `Error validating origin URL: ${reason}`);
}

function originRequestOfFlags(settings: OriginSettings): OriginRequest {
  return {
    ...originRequestDefaults,
    connectTimeoutMs: settings.proxyConnectTimeoutMs,
    tlsTimeoutMs: settings.proxyTlsTimeoutMs,
    tcpKeepAliveMs: settings.proxyTcpKeepaliveMs,
    noHappyEyeballs: settings.proxyNoHappyEyeballs,
    keepAliveConnections: settings.proxyKeepaliveConnections,
    keepAliveTimeoutMs: settings.proxyKeepaliveTimeoutMs,
    httpHostHeader: settings.httpHostHeader ?? '',
    originServerName: settings.originServerName ?? '',
    caPool: settings.originCaPool ?? '',
    noTLSVerify: settings.noTlsVerify,
    disableChunkedEncoding: settings.noChunkedEncoding,
    http2Origin: settings.http2Origin,
    bastionMode: settings.bastion,
    proxyType: settings.socks5 ? 'socks' : '',
  };
}
