// `tunnel route tcp delete PORT` and `tunnel route udp delete PORT`: gives a public port back, and cuts whoever uses it.

import { PosternError } from '../../../../internal/errors/error.ts';
import type { PortProtocol } from '../../../../internal/store/contract/records.ts';
import { type Command, defineCommand } from '../../../command.ts';
import { openApi } from '../../api.ts';
import { leadsTo } from './ports.ts';

export function deletePort(protocol: PortProtocol): Command {
  const upper = protocol.toUpperCase();
  return defineCommand({
    description: `Gives a public ${upper} port back. Whoever is connected through it is cut.`,
    positionals: [{ name: 'PORT', description: 'The port, or the ID of its route' }],
    flags: [],
    run: async (invocation, context) => {
      const [text = ''] = invocation.args;
      const api = await openApi(invocation, context);
      const params = { account: api.account };
      const all = await api.client.listPublicPorts({ params });
      const found = all.find(one => one.protocol === protocol && (String(one.port) === text || one.id === text));
      if (found === undefined)
        throw new PosternError(
          'api.not-found',
          `No ${upper} port ${text} leads to a tunnel: see "postern tunnel route ${protocol} list"`,
        );
      await api.client.deletePublicPort({ params: { ...params, id: found.id } });
      context.stdout.write(`Deleted ${upper} port ${found.port}, which led to ${leadsTo(found)}\n`);
    },
  });
}
