// `tunnel config pull TUNNEL`: the configuration at the edge as a config file.

import { parseDocument } from 'yaml';
import { parseConfigFile, readConfigText } from '../../../internal/config/file/config-file.ts';
import { createPrivateFile, replacePrivateFile } from '../../../internal/credentials/private-file.ts';
import { isPosternError, PosternError } from '../../../internal/errors/error.ts';
import { encodeIngressFile } from '../../../internal/schema/encode-ingress.ts';
import { printable } from '../../../internal/telemetry/printable.ts';
import { defineCommand } from '../../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../../output.ts';
import { resolvePath } from '../../resolve-path.ts';
import { openApi } from '../api.ts';
import { findTunnel } from '../find-tunnel.ts';
import { diffText, fileText, type RemoteConfiguration, readRemote } from './remote.ts';

export const command = defineCommand({
  description:
    'Prints the configuration that the edge holds for a tunnel as rules of a config file. With --into FILE they replace the ' +
    'rules of that file; its other settings and comments stay. Keys that a config file cannot hold are refused.',
  positionals: [{ name: 'TUNNEL', description: 'ID or name of the tunnel' }],
  flags: [
    {
      name: 'into',
      type: 'string',
      valueName: 'FILE',
      description: 'Put the rules into this file; it may be a new one',
    },
    outputFlag,
  ],
  examples: [
    ['postern tunnel config pull home', 'Print the rules'],
    ['postern tunnel config pull home --into ~/.postern/config.yml', 'Put them into a file'],
  ],
  run: async (invocation, context) => {
    const { into = '', output } = invocation.flags;
    const format = parseOutputFormat(output);
    const api = await openApi(invocation, context);
    const id = await findTunnel(api, invocation.args[0] ?? '');
    const remote = await readRemote(api, id);
    if (remote.version === 0)
      throw new PosternError(
        'api.not-found',
        `The edge holds no configuration for tunnel ${id}: its connectors have their own`,
      );
    const text = fileText(remote);
    if (into !== '') {
      const changed = await putInto(resolvePath(into, context), text, remote);
      if (format === undefined) {
        context.stdout.write(`${printable(changed)}Version ${remote.version} is in ${into}\n`);
        return;
      }
    }
    if (format === undefined) context.stdout.write(printable(text));
    else writeFormatted(context, format, { tunnelId: id, version: remote.version, config: remote.document });
  },
});

/** Writes the file, whose result is checked before; returns what changed in it. */
async function putInto(path: string, text: string, remote: RemoteConfiguration): Promise<string> {
  const before = await readIfAny(path);
  if (before === undefined) {
    parseConfigFile(text, path);
    if (!createPrivateFile(path, text)) throw new PosternError('file.failed', `${path} was made meanwhile`);
    return diffText('', text);
  }
  const document = parseDocument(before);
  // Faults of the file that is there are told before anything in it is changed.
  parseConfigFile(before, path);
  const { ingress, 'warp-routing': routing } = encodeIngressFile(remote.config);
  document.set('ingress', document.createNode(ingress));
  // The rules that come from the edge hold these defaults already.
  document.delete('originRequest');
  if (routing === undefined) document.delete('warp-routing');
  else document.set('warp-routing', document.createNode(routing));
  const after = document.toString();
  parseConfigFile(after, path);
  if (after !== before) replacePrivateFile(path, after);
  return diffText(before, after);
}

async function readIfAny(path: string): Promise<string | undefined> {
  try {
    return await readConfigText(path);
  } catch (error) {
    if (isPosternError(error, 'config.not-found') && /does not exist/.test(error.message)) return undefined;
    throw error;
  }
}
