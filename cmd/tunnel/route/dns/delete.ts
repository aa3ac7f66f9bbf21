// `tunnel route dns delete HOSTNAME`: leads a public host name nowhere.

import { domainToASCII } from 'node:url';
import { PosternError } from '../../../../internal/errors/error.ts';
import { defineCommand } from '../../../command.ts';
import { openApi } from '../../api.ts';
import { listRecords } from './records.ts';

export const command = defineCommand({
  description: 'Leads a public host name to no tunnel any more.',
  positionals: [{ name: 'HOSTNAME', description: 'Host name or wildcard, with or without its zone' }],
  checkArgs: args => (args.length === 1 ? undefined : 'You must supply exactly one argument, the host name'),
  flags: [],
  run: async (invocation, context) => {
    const [text = ''] = invocation.args;
    const wildcard = text.startsWith('*.') ? '*.' : '';
    const wanted = wildcard + domainToASCII(text.slice(wildcard.length).replace(/\.$/, ''));
    const api = await openApi(invocation, context);
    const params = { zone: api.cert.zoneId };
    const [records, zone] = await Promise.all([listRecords(api), api.client.getZone({ params })]);
    const found =
      records.find(({ name }) => name === wanted) ?? records.find(({ name }) => name === `${wanted}.${zone.name}`);
    if (found === undefined)
      throw new PosternError(
        'api.not-found',
        `No route leads ${text} to a tunnel: see "postern tunnel route dns list"`,
      );
    await api.client.deleteDnsRecord({ params: { ...params, id: found.id } });
    context.stdout.write(`Deleted ${found.name}, which led to tunnel ${found.tunnelId}\n`);
  },
});
