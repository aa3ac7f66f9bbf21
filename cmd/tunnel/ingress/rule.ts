// `tunnel ingress rule URL`: which rule of the config file a URL matches. Source: docs/protocol/ingress-and-origin.md
// §14.

import { loadIngressFile } from '../../../internal/config/file/config-file.ts';
import { PosternError } from '../../../internal/errors/error.ts';
import { createMatcher } from '../../../internal/ingress/match.ts';
import { ConfigError } from '../../../internal/schema/config-error.ts';
import { parseGoUrl } from '../../../internal/schema/go-url.ts';
import { noRulesRemedy, noRulesText } from '../../../internal/schema/remote-config.ts';
import { defineCommand } from '../../command.ts';
import { configPath } from '../settings.ts';
import { noConfigText } from './validate.ts';

export const command = defineCommand({
  positionals: [{ name: 'URL', description: 'An address as a visitor would type it, with scheme' }],
  flags: [],
  checkArgs: args =>
    args.length === 1 ? undefined : 'postern tunnel ingress rule expects a single argument, the URL to test',
  run: async (invocation, context) => {
    const [argument = ''] = invocation.args;
    const parsed = parseGoUrl(argument);
    if ('reason' in parsed) throw new PosternError('usage.invalid', `${argument} is not a valid URL`);
    const { hostname, path, suffix } = parsed.url;
    if (hostname === '')
      throw new PosternError('usage.invalid', `${argument} doesn't have a hostname, consider adding a scheme`);

    const file = await configPath(invocation, context);
    if (file === undefined) throw new PosternError('config.not-found', noConfigText);
    const { config } = await loadIngressFile(file);
    if (config === undefined)
      throw new ConfigError([
        { path: [], location: { file, line: 1, column: 1 }, text: noRulesText, remedy: noRulesRemedy },
      ]);

    const rule = createMatcher(config.rules).match(hostname, path + suffix);
    const lines = [`Using rules from ${file}`, `Matched rule #${rule.index}`];
    if (rule.hostname !== '') lines.push(`\thostname: ${rule.hostname}`);
    if (rule.path !== '') lines.push(`\tpath: ${rule.path}`);
    lines.push(`\tservice: ${rule.service.text}`);
    context.stdout.write(`${lines.join('\n')}\n`);
  },
});
