// Opens the echo proxy for the system it runs on; the one file that names the platforms. Each family stands alone: one
// may work without the other, and without both the connector goes on without ICMP. Source: docs/protocol/datagrams.md
// §7.1, §7.3.

import { describeError } from '../errors/error.ts';
import { formatIp, type IpBytes } from '../net/address/ip.ts';
import { openLibC } from '../net/linux/libc.ts';
import type { Logger } from '../telemetry/logger.ts';
import { openDarwinEcho } from './darwin.ts';
import type { EchoPlatform } from './echo-platform.ts';
import { EchoProxy } from './echo-proxy.ts';
import { openLinuxEcho } from './linux.ts';
import { chooseEchoSources, type EchoSource, type EchoSourceFlags } from './source-address.ts';
import { WindowsEcho } from './windows.ts';
import { openWindowsCalls } from './windows-calls.ts';

export interface OpenEchoOptions {
  readonly flags: EchoSourceFlags;
  readonly allowDestination: (address: IpBytes) => boolean;
  readonly log: Logger;
  readonly flowLimit?: number;
  /** `process.platform` by default. */
  readonly system?: NodeJS.Platform;
}

/** Why a family has no ICMP. `denied`: a permission is what lacks. */
interface Refusal {
  readonly reason: string;
  readonly denied?: boolean;
}

/**
 * Opens the proxy, or gives undefined after one warning that says what would make it work. Never rejects: ICMP is never
 * a reason not to start.
 */
export async function openEchoProxy(options: OpenEchoOptions): Promise<EchoProxy | undefined> {
  const { flags, allowDestination, log, flowLimit } = options;
  const system = options.system ?? process.platform;
  let sources: { readonly 4: EchoSource; readonly 6: EchoSource };
  try {
    sources = await chooseEchoSources(flags);
  } catch (error) {
    log.warn({ error: describeError(error) }, 'ICMP proxy feature is disabled');
    return undefined;
  }
  const opened = { 4: await openPlatform(system, 4, sources[4]), 6: await openPlatform(system, 6, sources[6]) };
  const platforms = { 4: platformOf(opened[4]), 6: platformOf(opened[6]) };
  if (platforms[4] === undefined && platforms[6] === undefined) {
    warnDisabled(log, system, opened[4], opened[6]);
    return undefined;
  }
  for (const family of [4, 6] as const) logFamily(log, family, sources[family], opened[family]);
  return new EchoProxy({
    platforms,
    sources: { 4: sources[4].address, 6: sources[6].address },
    allowDestination,
    log,
    ...(flowLimit === undefined ? {} : { flowLimit }),
  });
}

async function openPlatform(
  system: NodeJS.Platform,
  family: 4 | 6,
  source: EchoSource,
): Promise<EchoPlatform | Refusal> {
  try {
    switch (system) {
      case 'linux':
        return openLinuxEcho(await openLibC(), family, source);
      case 'darwin':
        return openDarwinEcho(await openLibC(), family, source);
      case 'win32':
        return new WindowsEcho(await openWindowsCalls(family), source.given ? source.address : undefined);
      default:
        return { reason: `ICMP proxy is not implemented on ${system}` };
    }
  } catch (error) {
    return { reason: describeError(error) };
  }
}

function platformOf(opened: EchoPlatform | Refusal): EchoPlatform | undefined {
  return 'reason' in opened ? undefined : opened;
}

function warnDisabled(
  log: Logger,
  system: NodeJS.Platform,
  v4: EchoPlatform | Refusal,
  v6: EchoPlatform | Refusal,
): void {
  const reason = 'reason' in v4 ? v4.reason : 'reason' in v6 ? v6.reason : '';
  const denied = ('denied' in v4 && v4.denied === true) || ('denied' in v6 && v6.denied === true);
  if (system !== 'linux' || !denied) {
    log.warn({ error: reason }, 'ICMP proxy feature is disabled');
    return;
  }
  const gid = process.getgid?.() ?? 0;
  log.warn(
    { error: reason },
    `ICMP proxy feature is disabled: group ${gid} may not open ping sockets. Either allow it with ` +
      `sysctl -w net.ipv4.ping_group_range="${gid} ${gid}", or give the program the capability CAP_NET_RAW`,
  );
}

function logFamily(log: Logger, family: 4 | 6, source: EchoSource, opened: EchoPlatform | Refusal): void {
  if ('reason' in opened) {
    log.info({ error: opened.reason }, `ICMP proxy has no IPv${family}`);
    return;
  }
  const zone = source.zone === undefined ? '' : ` in zone ${source.zone}`;
  log.info(
    { sockets: opened.name },
    `ICMP proxy will use ${formatIp(source.address)}${zone} as source for IPv${family}`,
  );
}
