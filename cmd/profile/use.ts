// `profile use NAME`: which credential commands take when none is named.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  certName,
  defaultProfile,
  listProfiles,
  profileDirectory,
  useProfile,
} from '../../internal/credentials/profiles.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { defineCommand } from '../command.ts';

export const command = defineCommand({
  description:
    'Makes commands use the API credential of this profile when no other is named by a flag or a variable. The profile ' +
    '"default" is ~/.postern/cert.pem, or the edge of this machine.',
  positionals: [{ name: 'NAME', description: 'Name of the profile' }],
  flags: [],
  run: async ({ args }, context) => {
    const [name = ''] = args;
    const path = join(profileDirectory(context.homeDir, name), certName);
    if (name !== defaultProfile && !existsSync(path)) {
      const known = listProfiles(context.homeDir).join(', ') || 'none';
      throw new PosternError(
        'credentials.not-found',
        `There is no profile ${JSON.stringify(name)}; there are: ${known}`,
      );
    }
    useProfile(context.homeDir, name);
    context.stdout.write(`Commands use the profile ${name} now\n`);
  },
});
