// The command lines of `npm run build` and `npm run package`: --help shows the head comment of the script, a wrong flag one line.

import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** Ends the program, with 0 for --help and 64 for what is no flag. `file`: the script's path. */
export function parseOptions<const Config extends ParseArgsConfig>(
  file: string,
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  if (process.argv.slice(2).some(word => word === '--help' || word === '-h')) {
    process.stdout.write(`${usageOf(file)}\n`);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n\n${usageOf(file)}\n`);
    process.exit(64);
  }
}

function usageOf(file: string): string {
  const lines = readFileSync(file, 'utf8').split('\n');
  const head = lines.slice(
    0,
    lines.findIndex(line => !line.startsWith('//')),
  );
  return head.map(line => line.replace(/^\/\/ ?/, '')).join('\n');
}
