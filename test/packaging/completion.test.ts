// The scripts of `postern completion`, each in the shell that it is for.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { haveCommand } from '../support/debian-package.ts';
import { runPostern } from '../support/run-cli.ts';

const run = promisify(execFile);

let folder: string;
const scriptOf = (shell: string): string => join(folder, `postern.${shell}`);

/** What every shell must offer after a command line: among others these, and none of those. */
const cases: readonly { readonly line: string; readonly offers: readonly string[]; readonly lacks?: string }[] = [
  { line: 'postern ', offers: ['completion', 'edge', 'service', 'tunnel'], lacks: '--help' },
  { line: 'postern tunnel ro', offers: ['route'], lacks: 'run' },
  { line: 'postern tunnel route ip ', offers: ['add', 'delete', 'get', 'show', 'update'], lacks: 'list' },
  { line: 'postern tunnel run --tok', offers: ['--token', '--token-file'] },
  { line: 'postern --loglevel debug edge run --http', offers: ['--http-port', '--https-port'] },
  { line: 'postern edge run --logl', offers: ['--loglevel'] },
  { line: 'postern tunnel run --token-file FOLDER/post', offers: ['FOLDER/postern.bash', 'FOLDER/postern.fish'] },
  { line: 'postern tunnel run --token ', offers: [], lacks: '--token-file' },
];

describe('postern completion', () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-completion-'));
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout } = await runPostern(folder, ['completion', shell]);
      assert.equal(code, 0);
      await writeFile(scriptOf(shell), stdout);
    }
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('refuses another shell', async () => {
    const { code, stderr } = await runPostern(folder, ['completion', 'csh']);
    assert.equal(code, 64);
    assert.match(stderr, /SHELL must be bash, zsh or fish, not "csh"/);
  });

  it('completes in bash', async () => {
    await forEachCase(async words => {
      const call = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _postern; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return (await run('bash', ['--norc', '-c', call, 'bash', scriptOf('bash'), ...words])).stdout.split('\n');
    });
  });

  it('completes the value after an equals sign in bash, which makes words of its own of it', async () => {
    const call = `source "$1"; COMP_WORDS=(postern tunnel --config = "$2"); COMP_CWORD=4; _postern; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await run('bash', ['--norc', '-c', call, 'bash', scriptOf('bash'), `${folder}/postern.z`]);
    assert.equal(stdout, `${folder}/postern.zsh\n`);
  });

  it('completes in fish', async t => {
    if (!haveShell(t, 'fish')) return;
    await forEachCase(async words => {
      const call = `source ${scriptOf('fish')}; complete -C '${words.join(' ')}'`;
      const { stdout } = await run('fish', ['--no-config', '-c', call], { env: { ...process.env, HOME: folder } });
      return stdout.split('\n').map(line => line.split('\t')[0] ?? '');
    });
  });

  it('completes in zsh, typed at a terminal', async t => {
    if (!haveShell(t, 'zsh')) return;
    const out = join(folder, 'typed');
    const typed = async (line: string): Promise<string> => {
      // One shell types into the terminal of another, whose line is written to a file when all is done.
      await writeFile(
        join(folder, 'inner.zsh'),
        `autoload -Uz compinit; compinit -u -D; source ${scriptOf('zsh')}
         setopt no_beep; show() { print -r -- "$BUFFER" >${out} }; zle -N show; bindkey '^X' show; print READY`,
      );
      const outer = `zmodload zsh/zpty; zpty inner zsh -f -i
        zpty -w inner 'PS1=; source ${folder}/inner.zsh'; zpty -r -m inner text '*READY*'
        zpty -w -n inner $'${line}\\t\\x18'
        for ((n = 0; n < 400; n++)); do [[ -s ${out} ]] && break; zpty -r -t inner text; zselect -t 5; done
        zpty -d inner`;
      await run('zsh', ['-f', '-c', `zmodload zsh/zselect; ${outer}`], {
        env: { ...process.env, HOME: folder },
        timeout: 40_000,
      });
      const shown = (await readFile(out, 'utf8')).trim();
      await rm(out);
      return shown;
    };
    assert.equal(await typed('postern tunnel rou'), 'postern tunnel route');
    assert.equal(
      await typed('postern --loglevel debug tunnel run --token-'),
      'postern --loglevel debug tunnel run --token-file',
    );
    assert.equal(
      await typed(`postern tunnel --config ${folder}/postern.z`),
      `postern tunnel --config ${folder}/postern.zsh`,
    );
    assert.equal(
      await typed(`postern tunnel --config=${folder}/postern.z`),
      `postern tunnel --config=${folder}/postern.zsh`,
    );
  });
});

async function forEachCase(complete: (words: readonly string[]) => Promise<readonly string[]>): Promise<void> {
  for (const { line, offers, lacks } of cases) {
    const found = await complete(line.replace('FOLDER', folder).split(' '));
    for (const word of offers)
      assert.ok(found.includes(word.replace('FOLDER', folder)), `${line}: ${word} in ${found}`);
    if (lacks !== undefined) assert.ok(!found.includes(lacks), `${line}: no ${lacks} in ${found}`);
  }
}

function haveShell(t: TestContext, shell: string): boolean {
  if (haveCommand(shell, [shell])) return true;
  t.skip(`${shell} is not here and could not be installed`);
  return false;
}
