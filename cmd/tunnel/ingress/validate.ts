// `tunnel ingress validate`: checks the rules of the config file, or of a JSON text. Source:
// docs/protocol/ingress-and-origin.md §14; unlike cloudflared it lists every error at once, and exits with the code of
// bad configurations.

import { type ConfigFile, loadIngressFile } from '../../../internal/config/file/config-file.ts';
import { PosternError } from '../../../internal/errors/error.ts';
import { ConfigError } from '../../../internal/schema/config-error.ts';
import { noRulesRemedy, noRulesText, parseJsonConfigFlag } from '../../../internal/schema/remote-config.ts';
import { defineCommand } from '../../command.ts';
import { configPath } from '../settings.ts';

export const command = defineCommand({
  description:
    'Checks the whole config file and prints OK, or every problem with its line. Keys that mean nothing are only warned of.',
  flags: [
    {
      name: 'json',
      aliases: ['j'],
      type: 'string',
      env: ['TUNNEL_INGRESS_VALIDATE_JSON'],
      valueName: 'JSON',
      description: 'Check this JSON text instead of the config file',
    },
  ],
  run: async (invocation, context) => {
    const { json } = invocation.flags;
    const write = (line: string): void => void context.stdout.write(`${line}\n`);
    if (json !== undefined && json !== '') {
      write('Validating rules from cmdline flag --json');
      parseJson(json);
      write('OK');
      return;
    }
    const path = await configPath(invocation, context);
    if (path === undefined) throw new PosternError('config.not-found', noConfigText);
    write(`Validating rules from ${path}`);
    const file = await loadFile(path);
    if (invocation.given.url !== undefined || (context.env.TUNNEL_URL ?? '') !== '' || file.settings.url !== undefined)
      throw new PosternError(
        'config.invalid',
        "Validation failed: You can't set the --url flag (or $TUNNEL_URL) when using multiple-origin ingress rules",
      );
    for (const oddity of file.oddities) write(`Warning: ${oddity}`);
    if (file.unusedKeys.length === 0) {
      write('OK');
      return;
    }
    write('Warning: unused keys detected in your config file. Here is a list of unused keys:');
    write('yaml: unmarshal errors:');
    for (const { text, suggestion } of file.unusedKeys)
      write(`  ${text}${suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`}`);
  },
});

/** Said when a command needs a config file and there is none. */
export const noConfigText =
  'No configuration file was found. Please create one, or use the --config flag to specify its filepath. ' +
  'You can use the help command to learn more about configuration files';

function parseJson(json: string): void {
  try {
    parseJsonConfigFlag(json);
  } catch (error) {
    throw validationFailed(error);
  }
}

async function loadFile(path: string): Promise<ConfigFile> {
  try {
    const file = await loadIngressFile(path);
    if (file.config !== undefined) return file;
    throw new ConfigError([
      { path: [], location: { file: path, line: 1, column: 1 }, text: noRulesText, remedy: noRulesRemedy },
    ]);
  } catch (error) {
    throw validationFailed(error);
  }
}

/** One problem stays on the line; several are listed below it. */
function validationFailed(error: unknown): unknown {
  if (!(error instanceof ConfigError)) return error;
  const { message, issues } = error;
  const text = issues.length === 1 ? message : `${issues.length} problems\n${message.replaceAll(/^/gm, '  ')}`;
  return new PosternError('config.invalid', `Validation failed: ${text}`, { cause: error });
}
