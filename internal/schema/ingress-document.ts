// The shape of the structured keys of a configuration document, before anything is checked across fields: `ingress`,
// `originRequest`, `warp-routing`. Source: docs/protocol/ingress-and-origin.md §2–5.

import * as z from 'zod';
import type { Dialect } from './document-reader.ts';
import { booleanType, durationType, integerType, textType, unsignedType } from './scalar-types.ts';

const ipRuleType = z.object({
  prefix: textType.optional(),
  ports: z.array(integerType, { error: 'a list of port numbers' }).optional(),
  allow: booleanType.optional(),
});

const accessType = z.object({
  required: booleanType.optional(),
  teamName: textType.optional(),
  audTag: z.array(textType, { error: 'a list of audience tags' }).optional(),
  environment: textType.optional(),
});

function createTypes(dialect: Dialect) {
  const duration = durationType(dialect);
  const originRequest = z.object(
    {
      connectTimeout: duration.optional().describe('Limit for connecting to the origin'),
      tlsTimeout: duration.optional().describe('Limit for the TLS handshake with the origin'),
      tcpKeepAlive: duration.optional().describe('TCP keep-alive period'),
      noHappyEyeballs: booleanType.optional().describe('Do not race IPv4 and IPv6'),
      keepAliveConnections: integerType.optional().describe('Idle connections kept at most'),
      keepAliveTimeout: duration.optional().describe('How long an idle connection is kept'),
      httpHostHeader: textType
        .optional()
        .describe('Host header sent to the origin; the visitor’s goes into X-Forwarded-Host'),
      originServerName: textType
        .optional()
        .describe('Name sent and expected in TLS, instead of the host of the service'),
      matchSNItoHost: booleanType.optional().describe('Use the Host of each request as the name in TLS'),
      caPool: textType.optional().describe('File with more certificate authorities to trust, PEM'),
      noTLSVerify: booleanType.optional().describe('Accept any certificate'),
      disableChunkedEncoding: booleanType.optional().describe('Never send chunked request bodies, for WSGI servers'),
      bastionMode: booleanType.optional().describe('Turn the rule into a jump host, whatever its service'),
      proxyAddress: textType.optional().describe('No effect'),
      proxyPort: unsignedType.optional().describe('No effect'),
      proxyType: textType.optional().describe('`socks`: speak SOCKS5 on TCP services'),
      ipRules: z
        .array(ipRuleType, { error: 'a list of {prefix, ports, allow}' })
        .optional()
        .describe('What a socks-proxy may reach: a list of {prefix, ports, allow}, first match decides, none denies'),
      http2Origin: booleanType.optional().describe('Offer HTTP/2 to HTTPS origins'),
      access: accessType
        .optional()
        .describe('Admit only visitors with a token: {required, teamName, audTag}; on the rule only'),
    },
    { error: 'a map of origin settings' },
  );
  const rule = z.object(
    {
      hostname: textType.optional(),
      path: textType.optional(),
      service: textType.optional(),
      originRequest: originRequest.optional(),
    },
    { error: 'a rule with a service, and optionally hostname, path and originRequest' },
  );
  const warpRouting = z.object(
    {
      connectTimeout: duration.optional(),
      tcpKeepAlive: duration.optional(),
      maxActiveFlows: integerType.min(0, { error: 'an integer, 0 for no limit' }).optional(),
    },
    { error: 'a map with connectTimeout, tcpKeepAlive and maxActiveFlows' },
  );
  return { originRequest, rule, warpRouting, ingress: z.array(rule, { error: 'a list of rules' }) };
}

/** The types of the structured keys, by dialect. */
export const documentTypes = { yaml: createTypes('yaml'), json: createTypes('json') } as const;

type Types = ReturnType<typeof createTypes>;
/** `originRequest` as written: only the fields that are there, durations in milliseconds under their document names. */
export type OriginRequestDocument = z.output<Types['originRequest']>;

/** Go's type names in the texts about unknown keys, which `ingress validate` prints. */
export function goTypeName(path: readonly (string | number)[]): string {
  const named = path.filter(part => typeof part === 'string');
  switch (named.at(-1)) {
    case 'ingress':
      return 'config.UnvalidatedIngressRule';
    case 'originRequest':
      return 'config.OriginRequestConfig';
    case 'warp-routing':
      return 'config.WarpRoutingConfig';
    case 'ipRules':
      return 'config.IngressIPRule';
    case 'access':
      return 'config.AccessConfig';
    default:
      return 'config.Configuration';
  }
}
