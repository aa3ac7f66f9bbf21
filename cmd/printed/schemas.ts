// What `--output json` prints, by command: the JSON Schemas of docs/schemas are written from this table, and tests hold the
// commands to it. No command loads it.

import * as z from 'zod';
import { portSettingsSchema } from '../../internal/schema/api/public-port.ts';
import { tunnelStatusSchema } from '../../internal/schema/api/tunnel.ts';
import { hopNames } from '../explain/hops.ts';
import { printedBalancer, printedPool, printedPoolHealth } from './balancing-schemas.ts';
import { certificateSchemas } from './certificate-schemas.ts';
import { configSchemas } from './config-schemas.ts';
import { peopleSchemas } from './people-schemas.ts';

/** RFC 3339; a time that never came is 0001-01-01T00:00:00Z. */
const time = z.iso.datetime();
const id = z.uuid();

const connection = z.strictObject({
  colo_name: z.string().describe('Place of the edge'),
  id,
  is_pending_reconnect: z.boolean().describe('Whether it was lost and is expected back'),
  origin_ip: z.string().describe('Address that the connector dials from'),
  opened_at: time,
  protocol: z.string().optional().describe('With --long: quic or http2'),
});

/** What `--long` adds. */
const standing = {
  status: tunnelStatusSchema.optional().describe('With --long, as the rest'),
  config_src: z.enum(['local', 'cloudflare']).optional(),
  conns_active_at: time.optional().describe('Since when it is connected; the zero time while it is not'),
  conns_inactive_at: time.optional().describe('When it lost its last connection; the zero time while it has one'),
};

const tunnel = z.strictObject({
  id,
  name: z.string(),
  created_at: time,
  deleted_at: time,
  connections: z.array(connection),
  ...standing,
});

const connector = z.strictObject({
  id,
  features: z.array(z.string()),
  version: z.string(),
  arch: z.string().describe('System and processor, such as linux_amd64'),
  run_at: time,
  conns: z.array(connection),
});

const ipRoute = z.strictObject({
  id,
  network: z.string().describe('CIDR'),
  tunnel_id: id,
  virtual_network_id: id.optional(),
  comment: z.string(),
  created_at: time,
  deleted_at: time,
  tunnel_name: z.string(),
});

const askedRoute = z.strictObject({
  ...{ id, network: z.string(), virtual_network_id: id.optional(), virtual_network_name: z.string() },
  ...{ tunnel_id: id.optional(), tunnel_name: z.string() },
});
const explainedRoute = askedRoute.extend({ tunnel_status: z.string() });

const hostnameRoute = ipRoute.omit({ network: true }).extend({ hostname: z.string() });

const publicPort = z.strictObject({
  ...portSettingsSchema.shape,
  ...{ id, protocol: z.enum(['tcp', 'udp']), port: z.int(), tunnel_id: id, tunnel_name: z.string() },
  ...{ idle_timeout: z.number(), created_at: time },
  status: z.string().describe('listening, or why this edge does not listen'),
});

const network = z.strictObject({
  id,
  comment: z.string(),
  name: z.string(),
  is_default_network: z.boolean(),
  created_at: time,
  deleted_at: time,
});

/** One answer to an echo request, or what became of the request. */
const echoAnswer = z.looseObject({
  sequence: z.int(),
  kind: z.enum(['reply', 'time-exceeded', 'timeout', 'unsent', 'no-route', 'no-edge', 'unreachable']),
});

const check = z.strictObject({
  component: z.string(),
  target: z.string(),
  status: z.enum(['pass', 'fail', 'skip']),
  details: z.string(),
  remedy: z.string().optional(),
  isHard: z.boolean().describe('Whether no tunnel can run when it fails'),
});

const hop = z.strictObject({
  hop: z.enum(hopNames),
  state: z.enum(['ok', 'failed', 'passed', 'unreached']),
  text: z.string(),
  remedy: z.string().optional(),
});

const schemas: Readonly<Record<string, z.ZodType>> = {
  ...configSchemas,
  ...certificateSchemas,
  ...peopleSchemas,
  doctor: z.strictObject({
    checks: z.array(check),
    hardFail: z.boolean(),
    suggestedProtocol: z.enum(['quic', 'http2']).optional(),
  }),
  explain: z.strictObject({
    url: z.string(),
    status: z.int().optional().describe('Of the answer; absent when there was none'),
    tookMs: z.number().optional(),
    requestId: z.string().optional(),
    failed: z.enum(hopNames).nullable(),
    hops: z.array(hop),
  }),
  ping: z.strictObject({
    target: z.string(),
    address: z.string().nullable(),
    transmitted: z.int(),
    received: z.int(),
    errors: z.int(),
    loss: z.number().min(0).max(1),
    duration_ms: z.int(),
    rtt_ms: z.strictObject({ min: z.number(), avg: z.number(), max: z.number(), mdev: z.number() }).nullable(),
    answers: z.array(echoAnswer),
  }),
  'service status': z.strictObject({
    services: z.array(
      z.strictObject({
        ...{ name: z.string(), label: z.string(), manager: z.string().describe('Of the system: systemd, launchd, …') },
        ...{ definition: z.string(), running: z.boolean(), code: z.int(), detail: z.string() },
      }),
    ),
  }),
  traceroute: z.strictObject({
    target: z.string(),
    address: z.string().optional(),
    reached: z.boolean(),
    hops: z.array(z.strictObject({ ttl: z.int(), answers: z.array(echoAnswer) })),
  }),
  'tunnel create': tunnel.extend({ token: z.string().describe('With which a connector joins') }),
  'tunnel info': z.strictObject({ id, name: z.string(), createdAt: time, conns: z.array(connector), ...standing }),
  'tunnel lb list': z.array(printedBalancer),
  'tunnel list': z.array(tunnel).nullable().describe('null when there is none'),
  'tunnel pool health': printedPoolHealth,
  'tunnel pool list': z.array(printedPool),
  'tunnel route dns list': z.array(
    z.strictObject({
      ...{ id: z.string(), hostname: z.string(), tunnel_id: id, tunnel_name: z.string() },
      ...{ comment: z.string(), created_at: time },
    }),
  ),
  'tunnel route explain': z.union([
    z.array(
      z.strictObject({
        virtual_network: z.string(),
        covering: explainedRoute.nullable().describe('What takes the whole, but for the parts of the next'),
        inside: z.array(explainedRoute),
        uncovered: z.array(z.string()).describe('Networks that lead nowhere'),
      }),
    ),
    z
      .array(
        z.strictObject({
          virtual_network: z.string(),
          id,
          hostname: z.string(),
          tunnel_id: id,
          tunnel_name: z.string(),
        }),
      )
      .describe('Of a host name'),
  ]),
  'tunnel route hostname list': z.array(hostnameRoute),
  'tunnel route hostname show': z.array(hostnameRoute),
  'tunnel route ip get': z
    .union([ipRoute, z.array(ipRoute)])
    .nullable()
    .describe('null when no route matches; with --all-vnets a list, or null'),
  'tunnel route ip list': z.array(ipRoute).nullable().describe('null when there is none'),
  'tunnel route ip overlaps': z.array(z.strictObject({ inner: askedRoute, outer: askedRoute })),
  'tunnel route ip show': z.array(ipRoute).nullable().describe('null when there is none'),
  'tunnel route tcp list': z.array(publicPort),
  'tunnel route udp list': z.array(publicPort),
  'tunnel vnet list': z.array(network),
  update: z.strictObject({
    version: z.string(),
    updated: z.boolean(),
    owner: z.string().optional().describe('What installed it and updates it'),
  }),
  version: z.strictObject({ version: z.string() }),
};

/** By the words of the command, sorted. */
export const printedSchemas: Readonly<Record<string, z.ZodType>> = Object.fromEntries(
  Object.entries(schemas).toSorted(([a], [b]) => (a < b ? -1 : 1)),
);

/** The JSON Schema (draft 2020-12) of what a command prints. */
export function printedJsonSchema(path: string): object {
  const schema = printedSchemas[path];
  if (schema === undefined) throw new RangeError(`There is no schema of what postern ${path} prints`);
  // Formats say it better than the expressions that they are checked by.
  const dropPattern = ({ jsonSchema }: { jsonSchema: { format?: unknown; pattern?: unknown } }): void => {
    if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
  };
  return { title: `postern ${path} --output json`, ...z.toJSONSchema(schema, { override: dropPattern }) };
}
