// The version, from package.json.

import { platformName } from '../internal/telemetry/platform-name.ts';
import manifest from '../package.json' with { type: 'json' };

/** `0.1.0`. */
export const version: string = manifest.version;

/** What runs, in the words of the stock program's log: `GOOS: linux, GOVersion: node26.10.0, GoArch: amd64`. */
export function runtimeLine(): string {
  const [os = '', arch = ''] = platformName(process.platform, process.arch).split('_');
  return `GOOS: ${os}, GOVersion: node${process.versions.node}, GoArch: ${arch}`;
}

/** `postern version 0.1.0`. */
export function versionLine(): string {
  return `postern version ${version}`;
}
