// `tunnel reload [TUNNEL]`: lets connectors that run read their config files again, and says what that changes. Exit codes: 0,
// and 3 when a file is not taken over.

import { PosternError } from '../../internal/errors/error.ts';
import { printableLine } from '../../internal/telemetry/printable.ts';
import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { findConnectors, type ReloadOutcome, reloadConnectors } from './control.ts';
import type { Change } from './reload-plan.ts';

export const command = defineCommand({
  description:
    'Lets the connectors of this user, or that of one tunnel, read their config files again, and says what changes now and ' +
    'what waits for a restart. A connector reads a changed file by itself, too.',
  positionals: [{ name: 'TUNNEL', description: 'Id of the tunnel', optional: true }],
  flags: [{ name: 'dry-run', type: 'boolean', description: 'Only say what would change' }, outputFlag],
  examples: [
    ['postern tunnel reload --dry-run', 'What would change'],
    ['sudo -u postern postern tunnel reload', 'The service of the Debian package'],
  ],
  run: async ({ args, flags }, context) => {
    const format = parseOutputFormat(flags.output);
    const [wanted] = args;
    const running = await findConnectors(context);
    const chosen = running.filter(({ status }) => wanted === undefined || status.tunnelId === wanted.toLowerCase());
    if (chosen.length === 0) {
      const what = wanted === undefined ? 'No connector' : `No connector of tunnel ${wanted}`;
      throw new PosternError('health.failed', `${what} runs under this user`);
    }
    const outcomes = await reloadConnectors(chosen, flags.dryRun);
    if (format !== undefined) writeFormatted(context, format, outcomes);
    else context.stdout.write(outcomes.map(outcome => formatOutcome(outcome, flags.dryRun)).join('\n'));
    return outcomes.some(({ error }) => error !== undefined) ? 3 : 0;
  },
});

function formatOutcome({ pid, tunnelId, file, changes, error }: ReloadOutcome, isDry: boolean): string {
  const lines = [`Connector ${pid} of tunnel ${tunnelId}, ${file === null ? 'without a config file' : file}`];
  if (error !== undefined) lines.push(...`${isDry ? 'Would not be' : 'Was not'} taken over: ${error}`.split('\n'));
  else if (changes.length === 0) lines.push('Nothing changes');
  const texts = {
    now: isDry ? 'at once' : 'done',
    restart: 'needs a restart',
    never: 'not used: the edge has the rules',
  };
  for (const change of changes) lines.push(`${change.setting}: ${formatValues(change)} (${texts[change.takesEffect]})`);
  return `${lines.map((line, at) => printableLine(at === 0 ? line : `  ${line}`)).join('\n')}\n`;
}

/** Rules may be many: that they changed is told by the log, and by --output json. */
function formatValues({ setting, before, after }: Change): string {
  if (setting === 'ingress' || setting === 'warp-routing') return 'changed';
  return `${before ?? 'unset'} → ${after ?? 'unset'}`;
}
