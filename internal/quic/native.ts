// Loads the native QUIC engine and types its interface, which native/README.md documents call by call.
// A binary built from the sources stands in native/, a committed one in prebuilt/ (also beside the files of a build), and the
// single binary has it inside; elsewhere there is none and the caller is told 'unavailable', so that HTTP/2 is used.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PosternError } from '../errors/error.ts';
import { embeddedAddon, isSingleBinary, loadAddon, nativeFolders } from '../net/native/addon.ts';

/** Kinds of event record; the same numbers stand in native/src/events.rs. */
export const eventKind = {
  connected: 1,
  opened: 2,
  readable: 3,
  writable: 4,
  stopped: 5,
  streamsAvailable: 6,
  datagram: 7,
  closed: 8,
  drained: 9,
  flushed: 10,
  pong: 11,
  endpointClosed: 12,
  failed: 13,
} as const;

/** What `read` leaves in `memory[0]`. */
export const readStatus = { more: 0, blocked: 1, end: 2, reset: 3, gone: 4 } as const;

/** Numbers of `memory` in front of the event records, and numbers a record takes. */
export const stateLength = 64;
export const recordLength = 4;

/** Settings as the native side takes them: every field present, sizes in bytes, absent PEM texts empty. */
export interface NativeSettings {
  readonly bind: string;
  readonly cert: string;
  readonly key: string;
  readonly roots: string;
  readonly pin: string;
  /** Comma separated. */
  readonly alpn: string;
  /** Comma separated, best first. */
  readonly groups: string;
  readonly congestion: string;
  readonly initialStreams: number;
  readonly maxStreams: number;
  readonly connectionWindow: number;
  readonly streamWindow: number;
  readonly sendWindow: number;
  readonly datagramBuffer: number;
  readonly idleTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly initialMtu: number;
  readonly maxMtu: number;
  readonly socketBuffer: number;
  readonly retryThreshold: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxHandshakesPerAddress: number;
}

/** One endpoint of the native side. Connections and streams are numbers; one that is gone makes a call do nothing. */
export interface NativeEndpoint {
  readonly memory: Float64Array;
  address(): string;
  connect(address: string, serverName: string): number;
  openStream(connection: number): number;
  read(connection: number, stream: number, buffer: Uint8Array, offset: number): number;
  receivedReset(connection: number, stream: number): number;
  write(connection: number, stream: number, bytes: Uint8Array, fin: boolean): number;
  reset(connection: number, stream: number, code: number): void;
  stop(connection: number, stream: number, code: number): void;
  sendDatagram(connection: number, bytes: Uint8Array, length: number): number;
  readDatagrams(connection: number, buffer: Uint8Array): number;
  maxDatagram(connection: number): number;
  stats(connection: number): number;
  pathDetails(connection: number): number;
  endpointStats(): number;
  remoteAddress(connection: number): string;
  close(connection: number, code: number, reason: string): void;
  localAddress(connection: number): string;
  notifyFlushed(connection: number, openStreams: number): void;
  ping(connection: number): void;
  shutdown(): void;
  destroy(): void;
  setIdentity(cert: string, key: string): void;
  setReferenced(referenced: boolean): void;
  /** For tests of the containment of panics. */
  provokePanic(): void;
}

export type EventsCallback = (count: number, texts: readonly string[] | undefined) => void;

interface NativeModule {
  readonly interfaceVersion: number;
  createEndpoint(settings: NativeSettings, onEvents: EventsCallback): NativeEndpoint;
}

/** Version of the interface that this file speaks. */
const interfaceVersion = 5;
const here = dirname(fileURLToPath(import.meta.url));
const fileName = 'postern-quic.node';

/** Files where a binary may be, best first; the single binary looks at none. */
export const nativePaths: readonly string[] = isSingleBinary
  ? []
  : [join(here, 'native', fileName), ...nativeFolders.map(folder => join(here, 'prebuilt', folder, fileName))];

let loaded: NativeModule | undefined;

/**
 * The native module, loaded once.
 * @throws PosternError 'unavailable' where there is no binary for this platform, or none that loads.
 */
export function loadNative(): NativeModule {
  loaded ??= readNative(nativePaths);
  return loaded;
}

/**
 * Loads the one inside of the single binary, else the first of `paths` that exists, loads and speaks our interface; throws as
 * `loadNative`.
 */
export function readNative(paths: readonly string[]): NativeModule {
  let cause: unknown;
  const ways: readonly (readonly [where: string, load: () => unknown])[] = [
    ['the engine inside of this program', () => embeddedAddon(fileName)],
    ...paths.filter(existsSync).map(path => [path, () => loadAddon(path)] as const),
  ];
  for (const [where, load] of ways) {
    try {
      const found = load() as NativeModule | undefined;
      if (found === undefined) continue;
      if (found.interfaceVersion === interfaceVersion) return found;
      cause = new Error(`${where} has interface ${found.interfaceVersion}, not ${interfaceVersion}`);
    } catch (error) {
      // A binary for another libc or an older system: the next path may fit, else the cause is told below.
      cause = error;
    }
  }
  const platform = `${process.platform}-${process.arch}`;
  const advice = `HTTP/2 works everywhere; 'npm run build:native' builds the engine where Rust is installed`;
  throw new PosternError(
    'unavailable',
    `QUIC is not available on this platform (${platform}): no engine loads. ${advice}`,
    { cause },
  );
}
