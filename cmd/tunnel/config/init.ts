// `tunnel config init [TUNNEL]`: writes a config file to begin with, and beside it the JSON Schema that editors check it by.

import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { parseConfigFile } from '../../../internal/config/file/config-file.ts';
import { configFileSchema } from '../../../internal/config/file/config-schema.ts';
import { validateOriginUrl } from '../../../internal/config/single-origin.ts';
import {
  createPrivateFile,
  makePrivateDirectory,
  replacePrivateFile,
} from '../../../internal/credentials/private-file.ts';
import { PosternError } from '../../../internal/errors/error.ts';
import { defineCommand } from '../../command.ts';
import { resolvePath } from '../../resolve-path.ts';

const schemaName = 'config.schema.json';

export const command = defineCommand({
  description:
    'Writes a config file to begin with: ~/.postern/config.yml, or the one that --config names. Beside it lies a JSON Schema, ' +
    `${schemaName}, by which editors with a YAML language server check and complete it. A file that is there is left alone.`,
  positionals: [{ name: 'TUNNEL', description: 'Id or name of the tunnel', optional: true }],
  flags: [
    { name: 'hostname', type: 'string', valueName: 'NAME', description: 'Public host name of the service' },
    {
      name: 'service',
      type: 'string',
      default: 'http://localhost:8080',
      valueName: 'URL',
      description: 'The service of this machine',
    },
  ],
  examples: [
    ['postern tunnel config init home --hostname app.example.com --service http://localhost:3000', 'One service'],
  ],
  run: async ({ args, flags, given }, context) => {
    const [tunnel = ''] = args;
    const named = given.config?.at(-1) ?? '';
    const path = named === '' ? join(context.homeDir, '.postern', 'config.yml') : resolvePath(named, context);
    const text = configText(tunnel, flags.hostname ?? '', serviceText(flags.service));
    // Whatever was typed: what is written can be read.
    parseConfigFile(text, path);
    if (named === '') makePrivateDirectory(dirname(path));
    if (!createPrivateFile(path, text))
      throw new PosternError('file.failed', `${path} exists already: name another file with --config, or remove it`);
    const schemaPath = join(dirname(path), schemaName);
    replacePrivateFile(schemaPath, `${JSON.stringify(configFileSchema(), null, 2)}\n`, 0o644);
    context.stdout.write(`Wrote ${path}, and ${schemaPath} for editors\n`);
    const [which, run] = [named === '' ? '' : ` --config ${named}`, tunnel === '' ? 'NAME' : tunnel];
    context.stdout.write(
      `Check it with: postern tunnel config validate${which}\nThen: postern tunnel${which} run ${run}\n`,
    );
  },
});

/** What a rule takes as it is; a bare `localhost:3000` gets its scheme. */
function serviceText(service: string): string {
  return /^[a-z][a-z0-9+_-]*:(?!\d)|^(hello_world|hello-world|bastion|socks-proxy)$/i.test(service)
    ? service
    : validateOriginUrl(service);
}

function configText(tunnel: string, hostname: string, service: string): string {
  const rule = { ...(hostname === '' ? {} : { hostname }), service };
  const last = hostname === '' ? [] : [{ service: 'http_status:404' }];
  return `# yaml-language-server: $schema=./${schemaName}
# Settings of a connector: docs/settings.md has them all. A running connector reads this file again when it changes.

${tunnel === '' ? '# tunnel: NAME' : stringify({ tunnel }).trimEnd()}
# credentials-file: /path/to/credentials.json

# loglevel: info
# metrics: localhost:20241
# grace-period: 30s

# The first rule that matches serves the request; the last one has no host name.
${stringify({ ingress: [rule, ...last] }).trimEnd()}
`;
}
