// Generates internal/wire/generated from the schemas beside it with capnp-es, for tests and the benchmark only: there it
// is the independent reader and writer that our own codecs must agree with. Needs the `capnp` compiler (Debian package
// capnproto), which is why the result is committed.

import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const schemaFolder = join(root, 'internal', 'wire', 'schema');
const out = join(root, 'internal', 'wire', 'generated');
const schemas = globSync(join(schemaFolder, '*.capnp')).sort();

// capnp-es generates with the TypeScript 5 compiler; the project's own is a newer one without that interface. Run in an
// empty folder, so that npm does not find the project's.
const folder = mkdtempSync(join(tmpdir(), 'generate-wire-'));
const { status, error } = spawnSync(
  'npm',
  [
    'exec',
    '--yes',
    '--package=capnp-es@0.0.16',
    '--package=typescript@5.9.3',
    '--',
    'capnp-es',
    ...schemas,
    `--src-prefix=${schemaFolder}`,
    `-ots:${out}`,
  ],
  { cwd: folder, stdio: 'inherit' },
);
rmSync(folder, { recursive: true });
if (error !== undefined) throw error;
if (status !== 0) process.exit(status ?? 1);

for (const path of globSync(join(out, '*.ts'))) {
  // The generated code does not follow our compiler options; its types are still used where it is imported.
  writeFileSync(path, `// @ts-nocheck\n${readFileSync(path, 'utf8')}`);
}
