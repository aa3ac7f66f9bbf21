// Holds the tree to the import table of the README's architecture section: a room imports only what its row allows,
// nothing in internal/ knows cmd/, reads argv or the environment, and variants of one seam never import each other.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/**
 * Room → rooms it may import, lowest tier first; a room stands below every room that may import it, so there are no circles.
 * Every room may import `errors` and `telemetry`, which import nothing but each other.
 */
const table: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  telemetry: [],
  net: [],
  wire: [],
  schema: [],
  rpc: ['wire'],
  quic: ['net'],
  transport: ['rpc', 'wire', 'quic', 'net'],
  discovery: ['net'],
  origin: ['net', 'schema'],
  ingress: ['schema'],
  proxy: ['transport', 'ingress', 'origin', 'net', 'schema'],
  datagram: ['wire', 'transport', 'net'],
  icmp: ['wire', 'net'],
  config: ['schema', 'net'],
  credentials: ['schema', 'net'],
  api: ['schema', 'net'],
  management: ['net'],
  store: ['schema', 'credentials'],
  certificates: ['credentials', 'net'],
  carriers: ['store', 'transport', 'rpc', 'wire', 'schema', 'net'],
  visitors: ['carriers', 'certificates', 'store', 'transport', 'wire', 'schema', 'net'],
  'private-network': ['carriers', 'store', 'datagram', 'transport', 'rpc', 'wire', 'schema', 'net'],
  'on-ramps': ['private-network', 'carriers', 'store', 'wire', 'net'],
  'control-plane': ['carriers', 'certificates', 'store', 'credentials', 'api', 'schema', 'net'],
  features: [
    'control-plane',
    'on-ramps',
    'private-network',
    'visitors',
    'carriers',
    'store',
    'credentials',
    'api',
    'schema',
    'net',
  ],
  connector: [
    'proxy',
    'ingress',
    'origin',
    'datagram',
    'icmp',
    'management',
    'discovery',
    'transport',
    'rpc',
    'wire',
    'schema',
    'net',
  ],
  edge: [
    'control-plane',
    'features',
    'on-ramps',
    'visitors',
    'carriers',
    'certificates',
    'store',
    'management',
    'schema',
    'net',
  ],
};
/** What the tests of a room may import beside its row: rooms above it that they are tried with. */
const testsMayImport: Readonly<Record<string, readonly string[]>> = {
  carriers: ['credentials', 'api'],
  connector: ['credentials', 'api'],
  edge: ['private-network', 'credentials', 'api'],
  'control-plane': ['features'],
  'private-network': ['control-plane', 'icmp'],
  wire: ['net'],
};
const everywhere = ['errors', 'telemetry'];
/** Folders under a seam's room whose members must not import each other. */
const seams: Readonly<Record<string, readonly string[]>> = { transport: ['http2', 'quic', 'memory'] };

const files = globSync('{internal,cmd}/**/*.ts', { cwd: root }).map(file => file.split('\\').join('/'));
const isTest = (file: string): boolean => file.endsWith('.test.ts');

function importsOf(file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8');
  const found = source.matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s*'(\.[^']+)'|import\(\s*'(\.[^']+)'\s*\)|(?:^|\n)import\s+'(\.[^']+)'/g,
  );
  return [...found].map(match => posix.join(posix.dirname(file), match[1] ?? match[2] ?? match[3] ?? ''));
}

describe('architecture', () => {
  it('imports follow the table', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const [top, room = ''] = file.split('/');
      if (top !== 'internal') continue;
      const allowed = table[room];
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
      file =>
        file.startsWith('internal/') &&
        !isTest(file) &&
        /\bprocess\.(argv|env)\b/.test(readFileSync(join(root, file), 'utf8')),
    );
    assert.deepEqual(wrong, []);
  });
});
