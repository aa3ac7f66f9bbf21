// The version, from package.json.

import manifest from '../package.json' with { type: 'json' };

/** `0.1.0`. */
export const version: string = manifest.version;

/** `postern version 0.1.0`. */
export function versionLine(): string {
  return `postern version ${version}`;
}
