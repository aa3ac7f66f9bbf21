// Names of the features that a connector tells its edge when it registers, and what the edge concludes from them.
// Source: docs/protocol/edge-protocol.md §3.4.

export const features = {
  remoteConfig: 'allow_remote_config',
  serializedHeaders: 'serialized_headers',
  datagramV2: 'support_datagram_v2',
  datagramV3: 'support_datagram_v3_2',
  quicEof: 'support_quic_eof',
  postQuantum: 'postquantum',
  /** The connector answers the management host, its log among it. */
  managementLogs: 'management_logs',
  /** Ours: the edge may end the control stream of a QUIC connection first, while requests go on there. */
  controlEndsFirst: 'postern_control_ends_first',
  /** Ours: a repeated registration of a v3 session changes its idle time, so that the edge can end it. */
  v3IdleTime: 'postern_v3_idle_time',
} as const;

/** Advertised by every connector. */
const alwaysAdvertised: readonly string[] = [
  features.remoteConfig,
  features.serializedHeaders,
  features.datagramV2,
  features.quicEof,
  features.controlEndsFirst,
];

/** Names of drafts that were withdrawn: never advertised, also when a user asks for them. */
const withdrawn: readonly string[] = ['support_datagram_v3', 'support_datagram_v3_1'];

export type DatagramVersion = 2 | 3;

/** The version of datagrams on a connection: v3 wins, because v2 is always in the list. */
export function datagramVersionOf(advertised: readonly string[]): DatagramVersion {
  return advertised.includes(features.datagramV3) ? 3 : 2;
}

/** The version a connector chooses: what the user asked for, else v3 when its account is selected for it. */
export function chooseDatagramVersion(requested: readonly string[], isAccountSelected: boolean): DatagramVersion {
  if (requested.includes(features.datagramV3)) return 3;
  if (requested.includes(features.datagramV2)) return 2;
  return isAccountSelected ? 3 : 2;
}

/** The list to advertise, without duplicates. */
export function advertisedFeatures(options: {
  /** From `--features`. */
  readonly requested: readonly string[];
  readonly postQuantum: boolean;
  readonly managementLogs: boolean;
  readonly datagramVersion: DatagramVersion;
}): string[] {
  const names = new Set(alwaysAdvertised);
  for (const name of options.requested) if (!withdrawn.includes(name)) names.add(name);
  if (options.managementLogs) names.add(features.managementLogs);
  if (options.postQuantum) names.add(features.postQuantum);
  if (options.datagramVersion === 3) {
    names.add(features.datagramV3);
    names.add(features.v3IdleTime);
  }
  return [...names];
}
