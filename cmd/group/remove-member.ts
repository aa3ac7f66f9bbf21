// `group remove-member GROUP USER`.

import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { openApi } from '../tunnel/api.ts';
import { findMember, memberLine, memberPositionals } from './member.ts';

export const command = defineCommand({
  description: 'Takes a user out of a group.',
  positionals: memberPositionals,
  flags: [],
  run: async (invocation, context) => {
    const api = await openApi(invocation, context);
    const group = await api.client.removeMember({ params: await findMember(api, invocation.args) });
    context.stdout.write(`${printableLine(memberLine(group))}\n`);
  },
});
