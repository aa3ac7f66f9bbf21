// Bundles the program with esbuild: into many files, of which a command loads what it needs, or into one for a binary.

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile } from 'esbuild';
import { koffiPlugin, packageNamesPlugin, stringWidthPlugin, workerName, workerPlugin, workersIn } from './plugins.ts';
import { root } from './root.ts';

const program = 'cmd/postern.ts';

/** Files of code that run by themselves, named by the sources. */
export const workers: readonly string[] = [
  ...new Set(
    globSync('{cmd,internal}/**/*.ts', { cwd: root, exclude: ['**/*.test.ts'] }).flatMap(file =>
      workersIn(readFileSync(join(root, file), 'utf8'), file),
    ),
  ),
].sort();

const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // Names stay, for stack traces that can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  // What CommonJS packages expect.
  define: { __dirname: 'import.meta.dirname', __filename: 'import.meta.filename' },
  metafile: true,
  logLevel: 'warning',
} as const satisfies BuildOptions;

/** A CommonJS package asks for Node's own modules by `require`, which a module does not have. `from` is an expression. */
const withRequire = (from: string) => ({
  js: `import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(${from});`,
});

/** Many files, flat in one folder, so that what stands beside the sources of a room stands beside them. */
export async function bundleFiles(folder: string): Promise<Metafile> {
  const entries = [program, ...workers].map(file => ({
    in: file,
    out: file === program ? 'postern' : workerName(file),
  }));
  const { metafile } = await build({
    ...common,
    entryPoints: entries,
    splitting: true,
    outdir: folder,
    chunkNames: '[name]-[hash]',
    banner: withRequire('import.meta.url'),
    plugins: [
      packageNamesPlugin(),
      koffiPlugin('beside'),
      stringWidthPlugin(),
      workerPlugin(name => `new URL('./${name}.js', import.meta.url)`),
    ],
  });
  return metafile;
}
