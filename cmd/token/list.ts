// `token list`: the API tokens of the account; never their texts.

import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { formatSeconds, formatTable } from '../table.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description:
    'Lists the API tokens of the account: whose they are, what they are good for, and when they were last used.',
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const tokens = await api.client.listTokens({ params: { account: api.account } });
    if (format !== undefined) {
      writeFormatted(context, format, tokens);
      return;
    }
    const time = (text: string | null): string => (text === null ? '-' : formatSeconds(text));
    const rows = tokens.map(token => [
      token.id,
      token.name,
      token.user?.name ?? '-',
      token.status === 'expired' ? `${time(token.expires_on)} (expired)` : time(token.expires_on),
      time(token.last_used_on),
      token.scopes.join(' '),
    ]);
    context.stdout.write(formatTable(['ID', 'NAME', 'USER', 'EXPIRES', 'LAST USED', 'SCOPES'], rows));
  },
});
