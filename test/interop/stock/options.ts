// The command line of `npm run interop`.

import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Family, families } from './scenario.ts';

export interface InteropOptions {
  /** A stock cloudflared, an absolute path; undefined: our own program alone. */
  readonly peer: string | undefined;
  readonly families: ReadonlySet<Family>;
}

export const usage = `npm run interop -- [--peer PATH] [--only ${families.join('|')}]...

Runs the same scripts with our own program and with a stock cloudflared, each on an edge of ours, and shows the results side
by side. Ends with 1 when a scenario failed.
--peer PATH   the stock cloudflared; without it our own program is tried alone.
--only        a family of scenarios, repeatable; default: all.`;

/** Undefined when help is asked for. Throws RangeError or the TypeError of parseArgs for what it cannot take. */
export function parseInteropOptions(argv: readonly string[]): InteropOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      peer: { type: 'string' },
      only: { type: 'string', multiple: true, default: [...families] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    peer: values.peer === undefined ? undefined : programAt(values.peer),
    families: new Set(values.only.map(familyNamed)),
  };
}

function familyNamed(word: string): Family {
  const found = families.find(family => family === word);
  if (found === undefined) throw new RangeError(`--only must be one of ${families.join(', ')}, not ${word}`);
  return found;
}

function programAt(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new RangeError(`--peer must be the path of a cloudflared; there is nothing at ${path}`);
  if (!stat.isFile()) throw new RangeError(`--peer must be the path of a program; ${path} is no file`);
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new RangeError(`--peer must be the path of a program; ${path} is not executable`);
  }
  return resolve(path);
}
