// `edge certificates`: what certificates an edge has, and what its authority says about the others.

import type { ApiCertificate } from '../../internal/schema/api/certificate.ts';
import { defineCommand } from '../command.ts';
import { outputFlag, parseOutputFormat, writeFormatted } from '../output.ts';
import { formatSeconds, formatTable } from '../table.ts';
import { openApi } from '../tunnel/api.ts';

export const command = defineCommand({
  description:
    'Lists the certificates of the edge that are of names of your account: issuer, expiry, when the authority was last asked and ' +
    'when it is asked next. The operator of the edge sees those of its own CA or files too.',
  flags: [outputFlag],
  run: async (invocation, context) => {
    const format = parseOutputFormat(invocation.flags.output);
    const api = await openApi(invocation, context);
    const certificates = await api.client.listCertificates({ params: { account: api.account } });
    if (format !== undefined) writeFormatted(context, format, certificates);
    else if (certificates.length === 0)
      context.stdout.write(
        'There are no certificates of names of this account. A visitor over HTTPS makes the edge ask for one.\n',
      );
    else {
      const header = ['NAMES', 'ISSUER', 'EXPIRES', 'LAST ATTEMPT', 'NEXT', 'PROBLEM'];
      context.stdout.write(formatTable(header, certificates.map(rowOf)));
    }
  },
});

function rowOf({ names, issuer, problem, ...times }: ApiCertificate): readonly string[] {
  const time = (text: string | null): string => (text === null ? '-' : formatSeconds(text));
  const [expires, last, next] = [times.expires_on, times.last_attempt_on, times.next_attempt_on].map(time);
  return [names.join(','), issuer ?? '-', expires ?? '-', last ?? '-', next ?? '-', problem ?? '-'];
}
