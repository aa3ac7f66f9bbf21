// `audit`: who changed what, from where and when.

import { PosternError } from '../internal/errors/error.ts';
import { parseDuration } from '../internal/schema/duration.ts';
import { defineCommand } from './command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from './output.ts';
import { formatSeconds, formatTable } from './table.ts';
import { openApi } from './tunnel/api.ts';

export const command = defineCommand({
  description:
    'Shows the audit log of the account, newest first: each change with who made it, with which token, from where, and in JSON ' +
    'or YAML what was there before and after. Secrets are never in it.',
  flags: [
    {
      name: 'since',
      type: 'string',
      valueName: 'TIME',
      description: 'Only from this time on: RFC 3339, or 24h for a day ago',
    },
    { name: 'user', type: 'string', valueName: 'USER', description: 'Only changes of this user, by ID or name' },
    { name: 'action', type: 'string', valueName: 'TEXT', description: 'Only changes of this kind, as "create tunnel"' },
    outputFlag,
  ],
  examples: [['postern audit --since 24h --output json', 'What changed since yesterday, whole']],
  run: async (invocation, context) => {
    const { flags } = invocation;
    const format = parseOutputFormat(flags.output);
    const since = flags.since ? parseSince(flags.since, Date.now()) : undefined;
    const api = await openApi(invocation, context);
    const entries = await api.client.listAudit({
      params: { account: api.account },
      query: { since, user: flags.user || undefined, action: flags.action || undefined },
    });
    if (format !== undefined) {
      writeFormatted(context, format, entries);
      return;
    }
    if (entries.length === 0) {
      context.stdout.write('No such change is on record.\n');
      return;
    }
    const rows = entries.map(({ when, actor, action, target }) => [
      formatSeconds(when),
      actor.user_name || '-',
      actor.token_name,
      actor.ip,
      action,
      target,
    ]);
    context.stdout.write(formatTable(['WHEN', 'USER', 'TOKEN', 'ADDRESS', 'ACTION', 'TARGET'], rows));
  },
});

/** A time, or how long ago. Throws 'usage.invalid'. */
function parseSince(text: string, nowMs: number): string {
  const ms = /^\d{4}-/.test(text) ? Date.parse(text) : nowMs - durationOf(text);
  if (Number.isNaN(ms))
    throw new PosternError('usage.invalid', `--since must be an RFC 3339 time or as 24h, not ${JSON.stringify(text)}`);
  return new Date(ms).toISOString();
}

function durationOf(text: string): number {
  try {
    return parseDuration(text);
  } catch {
    // Told together with a wrong time.
    return Number.NaN;
  }
}
