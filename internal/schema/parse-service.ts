// The `service` text of an ingress rule → Service. Source: docs/protocol/ingress-and-origin.md §3 (the forms, tested in
// that order) and §6 (the texts). `h2c://` is our addition: HTTP/2 with prior knowledge over plain TCP, for gRPC
// origins.

import { bracketed } from '../net/address/host-port.ts';
import { type GoUrl, parseGoUrl } from './go-url.ts';
import { nearest } from './nearest.ts';
import type { Service } from './service.ts';

/** Why a service text is wrong, and what would be right. */
export interface ServiceFault {
  readonly text: string;
  readonly remedy: string;
}

const httpPorts = { http: 80, https: 443, ws: 80, wss: 443, h2c: 80 } as const;
const tcpPorts: Readonly<Record<string, number>> = { ssh: 22, rdp: 3389, smb: 445, tcp: 7864 };
const forms =
  'Write for example "http://localhost:8000", "tcp://localhost:5432", "unix:/run/app.sock", "http_status:404" or "hello_world".';

/** Parses a service; `bastionMode` turns every URL service into a jump host. Never throws. */
export function parseService(text: string, bastionMode: boolean): { service: Service } | { fault: ServiceFault } {
  if (text.startsWith('unix:')) return { service: { kind: 'unix', text, path: text.slice(5), tls: false } };
  if (text.startsWith('unix+tls:')) return { service: { kind: 'unix', text, path: text.slice(9), tls: true } };
  if (text.startsWith('http_status:')) return parseStatus(text.slice('http_status:'.length));
  if (text === 'hello_world' || text === 'hello-world')
    return { service: { kind: 'hello-world', text: 'hello_world' } };
  if (text === 'socks-proxy') return { service: { kind: 'socks-proxy', text: 'socks-proxy' } };
  if (text === 'bastion' || bastionMode) return { service: { kind: 'bastion', text: 'bastion' } };
  return parseUrlService(text);
}

/** Hides a password in a URL text, for messages and logs. */
export function redactUserinfo(text: string): string {
  return text.replace(/^([^/]*\/\/[^/:@]*):[^/]*@/, '$1:xxxxx@');
}

function parseStatus(digits: string): { service: Service } | { fault: ServiceFault } {
  const remedy = 'Write a status code from 100 to 999, for example "http_status:404".';
  if (!/^[+-]?\d+$/.test(digits)) {
    const text = `invalid HTTP status code: strconv.Atoi: parsing ${JSON.stringify(digits)}: invalid syntax`;
    return { fault: { text, remedy } };
  }
  const status = Number(digits);
  if (status < 100 || status > 999) return { fault: { text: `invalid HTTP status code: ${status}`, remedy } };
  return { service: { kind: 'status', text: `http_status:${status}`, status } };
}

function parseUrlService(text: string): { service: Service } | { fault: ServiceFault } {
  const shown = redactUserinfo(text);
  const parsed = parseGoUrl(text);
  if ('reason' in parsed)
    return { fault: { text: `parse ${JSON.stringify(shown)}: ${parsed.reason}`, remedy: addressRemedy(text) } };
  const { url } = parsed;
  if (url.scheme === '' || url.hostname === '') {
    const fault = `${shown} is an invalid address, please make sure it has a scheme and a hostname`;
    return { fault: { text: fault, remedy: addressRemedy(text) } };
  }
  const meant = misspelled(url.scheme);
  if (meant !== undefined) {
    // cloudflared takes any scheme for one of TCP, and every request fails.
    const fault = `${shown} is an invalid address, ${url.scheme} is no protocol`;
    return { fault: { text: fault, remedy: `Did you mean ${meant}://${url.host}?` } };
  }
  if (url.path !== '') {
    const fault =
      `${shown} is an invalid address, ingress rules don't support proxying to a different path on the origin service.` +
      " The path will be the same as the eyeball request's path";
    return { fault: { text: fault, remedy: `Write ${JSON.stringify(`${url.scheme}://${url.host}`)}.` } };
  }
  if (Number(url.port) > 65_535) {
    // cloudflared accepts this and fails on every request.
    const fault = `${shown} is an invalid address, the port ${url.port} does not exist`;
    return { fault: { text: fault, remedy: 'Ports go from 1 to 65535.' } };
  }
  return { service: urlService(url) };
}

function urlService(url: GoUrl): Service {
  const { scheme, hostname } = url;
  const given = url.port === '' ? undefined : Number(url.port);
  const user = url.userinfo === '' ? '' : `${url.userinfo.replace(/:.*/, ':xxxxx')}@`;
  if (isHttpScheme(scheme)) {
    const text = `${scheme}://${user}${url.host}${url.suffix}`;
    return { kind: 'http', text, scheme, hostname, port: given ?? httpPorts[scheme] };
  }
  const port = given ?? (Object.hasOwn(tcpPorts, scheme) ? tcpPorts[scheme] : undefined);
  const name = bracketed(hostname);
  const host = given === undefined && port !== undefined ? `${name}:${port}` : url.host;
  return { kind: 'tcp', text: `${scheme}://${user}${host}${url.suffix}`, scheme, hostname, port };
}

/** The scheme of HTTP that an unknown one is one mistake away from. Other unknown schemes are names of TCP protocols. */
function misspelled(scheme: string): string | undefined {
  if (isHttpScheme(scheme) || Object.hasOwn(tcpPorts, scheme)) return undefined;
  return nearest(scheme, ['http', 'https']);
}

function isHttpScheme(scheme: string): scheme is keyof typeof httpPorts {
  return Object.hasOwn(httpPorts, scheme);
}

/** `localhost:8080` and bare host names are the usual mistakes: show them with a scheme. */
function addressRemedy(text: string): string {
  const bare = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d+)?$/.exec(text);
  return bare === null ? forms : `Write ${JSON.stringify(`http://${text}`)} if it speaks HTTP, or name its scheme.`;
}
