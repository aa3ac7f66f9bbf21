// `tunnel config validate`: checks the whole config file, flags and variables with it. Unlike `ingress validate`, whose output
// is cloudflared's, it takes files without rules, and prints JSON. Exit codes: 0 when valid, else 3.

import { loadIngressFile } from '../../../internal/config/file/config-file.ts';
import { localIngress, noRulesWarning } from '../../../internal/config/file/local-ingress.ts';
import { resolveTunnelSettings } from '../../../internal/config/tunnel-settings.ts';
import { PosternError } from '../../../internal/errors/error.ts';
import { ConfigError, type ConfigIssue, formatPath } from '../../../internal/schema/config-error.ts';
import { defineCommand } from '../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../output.ts';
import { noConfigText } from '../ingress/validate.ts';
import { configPath } from '../settings.ts';

export const command = defineCommand({
  description:
    'Checks the config file that counts here and prints OK, or every problem with its line. Keys that mean nothing are only ' +
    'warned of.',
  flags: [outputFlag],
  examples: [
    ['postern tunnel config validate', 'The file that is found'],
    ['postern tunnel config validate --config new.yml -o json', 'For programs'],
  ],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const path = await configPath(invocation, context);
    if (path === undefined) throw new PosternError('config.not-found', noConfigText);
    try {
      const file = await loadIngressFile(path);
      const settings = resolveTunnelSettings({ flags: invocation.given, env: context.env, file: file.settings });
      const { source } = localIngress(settings, file);
      const warnings = [...file.warnings, ...(source === 'none' ? [noRulesWarning] : [])];
      if (format !== undefined) writeFormatted(context, format, { file: path, valid: true, problems: [], warnings });
      else context.stdout.write(`${[...warnings.map(warning => `Warning: ${warning}`), `${path}: OK`].join('\n')}\n`);
      return 0;
    } catch (error) {
      if (format === undefined || !(error instanceof ConfigError)) throw error;
      const problems = error.issues.map(problemOf);
      writeFormatted(context, format, { file: path, valid: false, problems, warnings: [] });
      return error.kind.exit;
    }
  },
});

function problemOf({ location, path, remedy, text }: ConfigIssue) {
  const place = { line: location?.line ?? null, column: location?.column ?? null };
  return { ...place, path: formatPath(path), text, remedy };
}
