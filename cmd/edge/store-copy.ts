// `edge store copy FROM TO`: all that an edge keeps, from one store into another, empty one.

import { dirname } from 'node:path';
import { copyStore } from '../../internal/store/open/copy-store.ts';
import { openStateDirectory } from '../../internal/store/state-directory.ts';
import { defineCommand } from '../command.ts';
import { resolveStore, storePasswordFlag } from './store-flags.ts';

export const command = defineCommand({
  description:
    'Copies accounts, tokens, tunnels, routes and the audit log. A store is the state directory of an edge, for its SQLite ' +
    'database, or postgres://USER@HOST/DATABASE. TO must be empty. Stop the edges first: what they write later is not copied. ' +
    'The keys in the state directory are not part of the store, and are needed further on.',
  positionals: [
    { name: 'FROM', description: 'State directory, or URL of a PostgreSQL database' },
    { name: 'TO', description: 'The same; empty' },
  ],
  flags: [storePasswordFlag],
  examples: [
    ['postern edge store copy ~/.postern/edge postgres://postern@db.example.com/postern', 'From SQLite to PostgreSQL'],
    ['postern edge store copy postgres://postern@db.example.com/postern restored', 'Into a new state directory'],
  ],
  run: async ({ args: [from = '', to = ''], flags }, context) => {
    const settings = { inArguments: true, passwordFile: flags.storePasswordFile };
    const [source, target] = [resolveStore(from, settings, context), resolveStore(to, settings, context)];
    if (target.kind === 'sqlite') openStateDirectory(dirname(target.path));
    const counts = await copyStore(source, target);
    for (const [table, count] of counts) if (count > 0) context.stdout.write(`${count} ${table}\n`);
    context.stdout.write('Copied. Keep secret.key and ca-key.pem of the state directory: the new store needs them.\n');
  },
});
