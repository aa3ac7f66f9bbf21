// Flags, and their variables, that cloudflared accepts without effect: leftovers of features it has lost, and a few
// that Postern has no use for. They are accepted silently so that command lines and unit files keep working. Source:
// docs/protocol/commands-and-api.md §3.

import type { Flag, FlagType } from './flag.ts';

const rows: readonly (readonly [type: FlagType, names: readonly string[]])[] = [
  [
    'string',
    [
      'proxy-address',
      'service-op-ip',
      'id',
      'api-key',
      'api-email',
      'api-ca-key',
      'bucket-name',
      'region-name',
      'secret-id',
      'access-key-id',
      'session-token',
      's3-url-host',
      'host-key-path',
      'proxy-dns-address',
    ],
  ],
  ['list', ['proxy-dns-upstream', 'proxy-dns-bootstrap']],
  [
    'integer',
    [
      'proxy-port',
      'local-ssh-port',
      'heartbeat-count',
      'compression-quality',
      'proxy-dns-port',
      'proxy-dns-max-upstream-conns',
    ],
  ],
  [
    'duration',
    [
      'proxy-connection-timeout',
      'proxy-expect-continue-timeout',
      'metrics-update-freq',
      'heartbeat-interval',
      'ssh-idle-timeout',
      'ssh-max-timeout',
    ],
  ],
  ['boolean', ['ssh-server', 'proxy-dns', 'is-autoupdated', 'use-reconnect-token', 'ui']],
];

/** Taken at every level of the `tunnel` commands; in no help and no documentation. */
export const ignoredFlags: readonly Flag[] = rows.flatMap(([type, names]) =>
  names.map(name => ({ name, type, hidden: true, description: 'Accepted without effect' })),
);
