// Failures of the way to an origin, translated once from errno, TLS and HTTP errors, each naming the hop that failed.
// Source: docs/protocol/ingress-and-origin.md §8.4.

import { describeError, foreignCode, PosternError } from '../../errors/error.ts';

/** The step on the way to the origin that failed. */
export type Hop = 'resolve' | 'connect' | 'tls' | 'request' | 'response';

/** An origin failure at `hop` towards `dest` (host:port or socket path) caused by a foreign error. */
export function originFailure(hop: Hop, dest: string, cause: unknown): PosternError {
  if (cause instanceof PosternError) return cause;
  const code = hop === 'request' || hop === 'response' ? 'origin.failed' : 'origin.unreachable';
  const remedy = noDescriptor.has(foreignCode(cause) ?? '')
    ? '. The connector has no free descriptor: raise its limit (ulimit -n, or LimitNOFILE= of its service)'
    : hop === 'tls'
      ? tlsRemedy(foreignCode(cause))
      : '';
  return new PosternError(code, `${hopTexts[hop]} ${dest}: ${describeError(cause)}${remedy}`, {
    cause,
    details: { hop, dest, cause: foreignCode(cause) },
  });
}

/** Of this process, and of the machine. */
const noDescriptor: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);

/** Which setting of the rule mends a certificate that was not accepted; '' for other faults. */
function tlsRemedy(code: string | undefined): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return '. Set originServerName to a name of the certificate, or noTLSVerify to accept any';
  if (code === 'CERT_HAS_EXPIRED') return '. Renew the certificate of the origin, or set noTLSVerify to accept any';
  if (code !== undefined && untrusted.has(code))
    return '. Set caPool to a file with the CA of the origin, or noTLSVerify to accept any certificate';
  return '';
}

/** OpenSSL's names of a chain that ends nowhere. */
const untrusted: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** A hop that took longer than its limit. */
export function originTimeout(hop: Hop, dest: string, timeoutMs: number): PosternError {
  return new PosternError('origin.timeout', `${hopTexts[hop]} ${dest}: no answer within ${timeoutMs} ms`, {
    details: { hop, dest, cause: 'ETIMEDOUT' },
  });
}

/** The visitor went away while the origin was at work. */
export function visitorGone(): PosternError {
  return new PosternError('stream.aborted', 'The visitor went away before the response ended.');
}

/** A request that must not reach any origin: ambiguous framing, or bytes that no header may hold. */
export function requestRejected(reason: string): PosternError {
  return new PosternError('protocol.malformed', `Request not forwarded: ${reason}`, { details: { hop: 'request' } });
}

const hopTexts: Readonly<Record<Hop, string>> = {
  resolve: 'Could not resolve the address of',
  connect: 'Could not connect to',
  tls: 'TLS handshake failed with',
  request: 'Could not send the request to',
  response: 'Could not read the response of',
};
