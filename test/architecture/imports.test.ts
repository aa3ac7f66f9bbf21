// Holds the tree to the import table, which the README's picture is drawn from: a room imports only what its row allows,
// nothing in internal/ knows cmd/, reads argv or the environment, and variants of one seam never import each other.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { everywhere, importTable } from './import-table.ts';
import { filesOf, importsOf, isTest, textOf } from './tree.ts';

/** What the tests of a room may import beside its row: rooms above it that they are tried with. */
const testsMayImport: Readonly<Record<string, readonly string[]>> = {
  carriers: ['credentials', 'api'],
  connector: ['credentials', 'api'],
  edge: ['private-network', 'credentials', 'api', 'schema'],
  'control-plane': ['features'],
  'private-network': ['control-plane', 'icmp'],
};
/** Folders under a seam's room whose members must not import each other. */
const seams: Readonly<Record<string, readonly string[]>> = { transport: ['http2', 'quic'] };

const files = filesOf('{internal,cmd}/**/*.ts');

describe('architecture', () => {
  it('imports follow the table', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const [top, room = ''] = file.split('/');
      if (top !== 'internal') continue;
      const allowed = importTable[room];
      if (allowed === undefined) {
        wrong.push(`${file}: room ${room} is not in the table`);
        continue;
      }
      for (const target of importsOf(file)) {
        const [targetTop, targetRoom = ''] = target.split('/');
        if (targetTop === 'test' && isTest(file)) continue;
        const fine =
          targetTop === 'internal' &&
          (targetRoom === room ||
            allowed.includes(targetRoom) ||
            everywhere.includes(targetRoom) ||
            (isTest(file) && (testsMayImport[room] ?? []).includes(targetRoom)));
        if (!fine) wrong.push(`${file} imports ${target}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('the table has no room and no right that is not there', () => {
    const used = new Set(
      files
        .filter(file => !isTest(file))
        .flatMap(file => importsOf(file).map(target => `${file.split('/')[1]} imports ${target.split('/')[1]}`)),
    );
    const unused = Object.entries(importTable).flatMap(([room, targets]) =>
      targets.map(target => `${room} imports ${target}`).filter(right => !used.has(right)),
    );
    assert.deepEqual(unused, []);
    const rooms = new Set(files.filter(file => file.startsWith('internal/')).map(file => file.split('/')[1]));
    assert.deepEqual([...rooms].sort(), Object.keys(importTable).sort());
  });

  it('variants of a seam do not import each other', () => {
    const wrong: string[] = [];
    for (const [room, variants] of Object.entries(seams)) {
      for (const variant of variants) {
        for (const file of files.filter(name => name.startsWith(`internal/${room}/${variant}/`))) {
          for (const target of importsOf(file)) {
            if (variants.some(other => other !== variant && target.startsWith(`internal/${room}/${other}/`)))
              wrong.push(`${file} imports ${target}`);
          }
        }
      }
    }
    assert.deepEqual(wrong, []);
  });

  it('internal/ does not read argv or the environment', () => {
    const wrong = files.filter(
      file => file.startsWith('internal/') && !isTest(file) && /\bprocess\.(argv|env)\b/.test(textOf(file)),
    );
    assert.deepEqual(wrong, []);
  });
});
