// Every flag that is offered is read by some code: one that does nothing tells its user a lie. Those that are accepted for the
// sake of old command lines say so (`inert`), and nothing reads them.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { commands } from '../../cmd/commands.ts';
import { type Flag, settingKey } from '../../internal/config/flag.ts';
import { logFlags } from '../../internal/config/log-flags.ts';
import { tunnelSettingFlags } from '../../internal/config/tunnel-settings.ts';

const root = join(import.meta.dirname, '..', '..');
/** Where flags are defined, not read. */
const tables = /(tunnel|run|log|origin|edge|ignored)-flags\.ts$/;

function sources(): string {
  return ['cmd', 'internal']
    .flatMap(directory =>
      readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' }).map(name =>
        join(root, directory, name),
      ),
    )
    .filter(path => path.endsWith('.ts') && !path.endsWith('.test.ts') && !tables.test(path))
    .map(path => readFileSync(path, 'utf8'))
    .join('\n');
}

it('every flag is read, and no inert one is', async () => {
  const flags = new Map<string, Flag>();
  for (const flag of [...tunnelSettingFlags, ...logFlags] as readonly Flag[]) flags.set(flag.name, flag);
  for (const { load } of commands) for (const flag of (await load()).command.flags) flags.set(flag.name, flag);
  const text = sources();
  const isRead = (flag: Flag): boolean => {
    // As a value, by the name of its property, or as it was typed.
    const key = settingKey(flag);
    const quoted = flag.name.replaceAll('-', '\\-');
    return new RegExp(
      `(flags|settings|values)\\.${key}\\b|\\{[^{}]*\\b${key}\\b[^{}]*\\} = (invocation\\.)?(settings|flags|values|inputs)\\b|given\\.${key}\\b|(given|sources)\\['${quoted}'\\]`,
    ).test(text);
  };
  assert.equal(isRead({ name: 'never-read', type: 'string', description: '' }), false);
  const all = [...flags.values()];
  const unread = all.filter(flag => flag.inert === undefined && !isRead(flag)).map(({ name }) => name);
  const readAllTheSame = all.filter(flag => flag.inert !== undefined && isRead(flag)).map(({ name }) => name);
  assert.deepEqual({ unread, readAllTheSame }, { unread: [], readAllTheSame: [] });
});
