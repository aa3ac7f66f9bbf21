// What every package of a run shares.

/** A machine's architecture, as each world calls it. */
export interface Architecture {
  /** The build's target. */
  readonly target: 'linux-x64' | 'linux-arm64';
  readonly deb: 'amd64' | 'arm64';
  readonly rpm: 'x86_64' | 'aarch64';
}

export const architectures: readonly Architecture[] = [
  { target: 'linux-x64', deb: 'amd64', rpm: 'x86_64' },
  { target: 'linux-arm64', deb: 'arm64', rpm: 'aarch64' },
];

export interface Recipe {
  readonly architecture: Architecture;
  /** Time of everything inside, in seconds. */
  readonly epoch: number;
  /** Compress little, for tests. */
  readonly isFast: boolean;
  /** Where the package goes. */
  readonly folder: string;
}
