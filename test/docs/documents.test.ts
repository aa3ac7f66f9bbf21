// The documents say what is true: links lead somewhere, quoted commands parse, quoted messages and constants are in the sources.

import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import { groups } from '../../cmd/command-groups.ts';
import { commands } from '../../cmd/commands.ts';
import { parseCommandLine } from '../../cmd/parse-command-line.ts';
import { childrenOf, resolveCommand } from '../../cmd/resolve-command.ts';
import type { Flag } from '../../internal/config/flag.ts';
import { ignoredFlags } from '../../internal/config/ignored-flags.ts';
import { logFlags } from '../../internal/config/log-flags.ts';
import { tunnelFlags } from '../../internal/config/tunnel-flags.ts';

const root = join(import.meta.dirname, '..', '..');
const documents = globSync(['*.md', 'docs/**/*.md', 'internal/quic/native/README.md', 'test/**/*.md'], { cwd: root });
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
/** Text outside of fenced blocks. */
const prose = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '');

/** The anchor that GitHub gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function anchorsOf(file: string): ReadonlySet<string> {
  return new Set([...prose(read(file)).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading)));
}

describe('documents', () => {
  it('link to files and headings that exist', () => {
    const wrong: string[] = [];
    let seen = 0;
    for (const file of documents) {
      for (const [, target = ''] of prose(read(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        seen += 1;
        const [path = '', anchor] = target.split('#');
        const to = path === '' ? file : normalize(join(dirname(file), path));
        if (!existsSync(join(root, to))) wrong.push(`${file}: ${target}`);
        else if (anchor !== undefined && (statSync(join(root, to)).isDirectory() || !anchorsOf(to).has(anchor)))
          wrong.push(`${file}: ${target}`);
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(seen > 40, `only ${seen} links were found`);
  });

  it('name pages that exist', () => {
    const wrong = documents.flatMap(file =>
      [...prose(read(file)).matchAll(/(?<![\w/.(-])docs\/[\w/-]+\.md/g)]
        .filter(([page]) => !existsSync(join(root, page)))
        .map(([page]) => `${file}: ${page}`),
    );
    assert.deepEqual(wrong, []);
  });

  it('quote commands whose words and flags exist', async () => {
    const wrong: string[] = [];
    let seen = 0;
    for (const file of documents.filter(name => !name.startsWith(join('docs', 'protocol')))) {
      for (const { line, whole } of quotedLines(read(file))) {
        seen += 1;
        const problem = await problemOf(line, whole);
        if (problem !== undefined) wrong.push(`${file}: postern ${line}: ${problem}`);
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(seen > 60, `only ${seen} commands were found`);
  });

  it('quote npm scripts that exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const wrong = documents.flatMap(file =>
      [...read(file).matchAll(/\bnpm run (?:-s )?([\w:-]+)/g)]
        .filter(([, name = '']) => scripts[name] === undefined)
        .map(([text]) => `${file}: ${text}`),
    );
    assert.deepEqual(wrong, []);
  });

  it('name constants that are in the file they link to', () => {
    const wrong: string[] = [];
    let seen = 0;
    for (const [, name = '', path = ''] of read('docs/limits.md').matchAll(/`(\w+)`, \[[^\]]+\]\(\.\.\/([^)]+)\)/g)) {
      seen += 1;
      if (!new RegExp(String.raw`^export const ${name}\b`, 'm').test(read(path))) wrong.push(`${path}: ${name}`);
    }
    assert.deepEqual(wrong, []);
    assert.ok(seen > 40, `only ${seen} constants were found`);
  });

  it('quote messages that the program has', () => {
    const sources = globSync('{cmd,internal}/**/*.ts', {
      cwd: root,
      exclude: name => String(name).endsWith('.test.ts'),
    })
      .map(read)
      // A text that is wrapped in the sources reads on.
      .map(text => text.replaceAll(/['`] \+\s+['`]/g, '').replaceAll("\\'", "'"))
      .join('\n');
    const wrong: string[] = [];
    let seen = 0;
    for (const [, quoted = ''] of read('docs/troubleshooting.md').matchAll(/“([^”]+)”/g)) {
      seen += 1;
      // An ellipsis stands for what changes from case to case.
      for (const piece of quoted.split('…').map(text => text.trim()))
        if (piece.length > 3 && !sources.includes(piece)) wrong.push(piece);
    }
    assert.deepEqual(wrong, []);
    assert.ok(seen > 20, `only ${seen} messages were found`);
  });
});

interface QuotedLine {
  readonly line: string;
  /** A line of a shell, to be taken word for word; else one in running text, which may leave arguments out. */
  readonly whole: boolean;
}

/** What follows `postern` in shell blocks and in code of running text. */
function quotedLines(text: string): readonly QuotedLine[] {
  const shell = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)]
    .flatMap(([, block = '']) => block.replaceAll('\\\n', ' ').split('\n'))
    .map(line => line.replace(/(^|\s)#.*$/, ''))
    .flatMap(line => [...line.matchAll(/(?:^|[\s(])postern ([^|&;>)]+)/g)])
    .map(([, line = '']) => ({ line: line.trim(), whole: true }));
  const inline = [...prose(text).matchAll(/`postern ([^`]+)`/g)].map(([, line = '']) => ({
    line: line
      .replaceAll(/…|[[\]]/g, '')
      .replaceAll(/\s+/g, ' ')
      .trim(),
    whole: false,
  }));
  return [...shell, ...inline.filter(({ line }) => line !== '')];
}

/** Why a command line is wrong; undefined when it is right. */
async function problemOf(line: string, whole: boolean): Promise<string | undefined> {
  const argv = (line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).map(word => word.replaceAll(/^['"]|['"]$/g, ''));
  const { path, tokens } = resolveCommand(argv);
  const entry = commands.find(({ path: name }) => name === path.join(' '));
  if (entry === undefined) {
    const isGroup = groups[path.join(' ')] !== undefined && tokens.every(token => token === '--help');
    return isGroup || argv[0] === '--help' ? undefined : 'there is no such command';
  }
  const { command } = await entry.load();
  const inherited: readonly Flag[] = entry.inherits === 'tunnel' ? [...tunnelFlags, ...ignoredFlags] : logFlags;
  try {
    // With --help the number of arguments is not looked at.
    const { args } = parseCommandLine(whole ? tokens : ['--help', ...tokens], {
      path,
      summary: entry.summary,
      command,
      inherited,
      children: childrenOf(path),
    });
    if (args.length > 0 && (command.positionals ?? []).length === 0) return `nothing takes ${args.join(' ')}`;
    return undefined;
  } catch (error) {
    return String(error);
  }
}
