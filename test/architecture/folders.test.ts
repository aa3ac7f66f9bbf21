// Holds the folders inside the rooms to their table: large rooms have one, folders import only what it allows, and no two
// folders of internal/ import each other, however many are on the way.

import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { describe, it } from 'node:test';
import { folderTable } from './folder-table.ts';
import { circlesIn, filesOf, importsOf, isTest, textOf } from './tree.ts';

/** Rooms with more lines, tests and generated files aside, need rules inside. */
const largeLines = 2_200;

const files = filesOf('internal/**/*.ts').filter(file => !isTest(file));
const roomOf = (file: string): string => file.split('/')[1] ?? '';
/** The folder right below the room, `.` for the room's own files. */
const folderOf = (file: string): string => (file.split('/').length > 3 ? (file.split('/')[2] ?? '') : '.');

/** `room folder → folder` for every import from one folder of a room to another. */
function crossings(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const file of files) {
    for (const target of importsOf(file)) {
      if (roomOf(target) !== roomOf(file) || folderOf(target) === folderOf(file)) continue;
      const crossing = `${roomOf(file)}: ${folderOf(file)} → ${folderOf(target)}`;
      found.set(crossing, [...(found.get(crossing) ?? []), `${file} imports ${target}`]);
    }
  }
  return found;
}

describe('folders of rooms', () => {
  it('have rules where a room is large', () => {
    const lines = new Map<string, number>();
    for (const file of files.filter(name => !name.includes('/generated/')))
      lines.set(roomOf(file), (lines.get(roomOf(file)) ?? 0) + textOf(file).split('\n').length - 1);
    const large = [...lines].filter(([, count]) => count > largeLines).map(([room]) => room);
    assert.deepEqual(
      large.filter(room => folderTable[room] === undefined),
      [],
    );
  });

  it('import what their table allows, which allows nothing else', () => {
    const allowed = new Set<string>();
    for (const [room, folders] of Object.entries(folderTable))
      for (const [folder, targets] of Object.entries(folders))
        for (const target of targets) allowed.add(`${room}: ${folder} → ${target}`);
    const found = crossings();
    const wrong = [...found].filter(
      ([crossing]) => folderTable[crossing.split(':')[0] ?? ''] !== undefined && !allowed.has(crossing),
    );
    assert.deepEqual(
      wrong.flatMap(([, imports]) => imports),
      [],
    );
    assert.deepEqual(
      [...allowed].filter(crossing => !found.has(crossing)),
      [],
    );
  });

  it('are all in the table of their room', () => {
    for (const [room, folders] of Object.entries(folderTable)) {
      if (Object.keys(folders).length === 0) continue;
      const there = new Set(files.filter(file => roomOf(file) === room).map(folderOf));
      assert.deepEqual([...there].sort(), Object.keys(folders).sort(), room);
    }
  });

  it('do not import each other in circles, nested ones included', () => {
    const imports = new Map<string, Set<string>>();
    for (const file of files) {
      const from = posix.dirname(file);
      const targets = imports.get(from) ?? new Set();
      imports.set(from, targets);
      for (const target of importsOf(file)) if (posix.dirname(target) !== from) targets.add(posix.dirname(target));
    }
    assert.deepEqual(circlesIn(imports), []);
  });
});
