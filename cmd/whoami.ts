// `whoami`: which edge, account and user commands act for, and with which token.

import { printableLine } from '../internal/telemetry/printable.ts';
import { defineCommand } from './command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from './output.ts';
import { openApi } from './tunnel/api.ts';

export const command = defineCommand({
  description: 'Shows the edge, the account and the user that commands act for, and what their API token is good for.',
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const who = await api.client.whoAmI({ params: {} });
    if (format !== undefined) {
      writeFormatted(context, format, { api: api.apiUrl, credential: api.source, ...who });
      return;
    }
    const { account, token, user, zone } = who;
    const lines: readonly (readonly [string, string])[] = [
      ['API', api.apiUrl],
      ['CREDENTIAL', api.source],
      ['ACCOUNT', `${account.name} (${account.id})`],
      ['ZONE', zone.name],
      ['USER', user?.name ?? '-'],
      ['TOKEN', `${token.name} (${token.id})`],
      ['EXPIRES', token.expires_on ?? 'never'],
      ['SCOPES', token.scopes.join(' ')],
    ];
    context.stdout.write(lines.map(([name, text]) => `${`${name}:`.padEnd(12)}${printableLine(text)}\n`).join(''));
  },
});
