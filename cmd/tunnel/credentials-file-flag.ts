// --credentials-file of the commands that write or remove one. Unlike `tunnel run` they never take it from the config
// file: that one names the credentials of another tunnel. Source: docs/protocol/commands-and-api.md §5.2.

import type { Flag } from '../../internal/config/flag.ts';

export const credentialsFileFlag = {
  name: 'credentials-file',
  aliases: ['cred-file'],
  type: 'string',
  env: ['TUNNEL_CRED_FILE'],
  valueName: 'FILE',
  description: "The tunnel's credentials file",
} as const satisfies Flag;
