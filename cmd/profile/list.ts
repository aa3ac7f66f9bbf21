// `profile list`: the API credentials that are kept under a name.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseOriginCert } from '../../internal/credentials/origin-cert.ts';
import {
  certName,
  defaultProfile,
  listProfiles,
  profileDirectory,
  readCurrentProfile,
} from '../../internal/credentials/profiles.ts';
import { describeError } from '../../internal/errors/error.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { formatTable } from '../table.ts';

export const command = defineCommand({
  description: 'Lists the profiles: API credentials of edges and accounts, as "tunnel login" wrote them.',
  flags: [outputFlag],
  run: async ({ flags }, context) => {
    const format = parseOutputFormat(flags.output);
    const current = readCurrentProfile(context.homeDir) ?? defaultProfile;
    const profiles = listProfiles(context.homeDir).map(name => ({
      name,
      in_use: name === current,
      ...describe(name, context),
    }));
    if (format !== undefined) writeFormatted(context, format, profiles);
    else if (profiles.length === 0) context.stdout.write("There are no profiles. 'postern tunnel login' makes one.\n");
    else {
      const rows = profiles.map(({ name, in_use: inUse, account, api }) => [inUse ? '*' : '', name, account, api]);
      context.stdout.write(formatTable(['', 'NAME', 'ACCOUNT', 'API'], rows));
    }
  },
});

function describe(name: string, { homeDir }: CommandContext): { readonly account: string; readonly api: string } {
  try {
    const { accountId, apiUrl } = parseOriginCert(
      readFileSync(join(profileDirectory(homeDir, name), certName), 'utf8'),
    );
    return { account: accountId, api: apiUrl ?? '' };
  } catch (error) {
    return { account: `unreadable: ${describeError(error)}`, api: '' };
  }
}
