// Bundles the program with esbuild: into many files, of which a command loads what it needs, or into one for a binary.

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile } from 'esbuild';
import {
  addonModule,
  type BuildIdentity,
  keyringPlugin,
  koffiPlugin,
  latePackageFile,
  latePackagesIn,
  manifestPlugin,
  packageNamesPlugin,
  sourceFormsPlugin,
  stringWidthPlugin,
  workerName,
  workersIn,
} from './plugins.ts';
import { root } from './root.ts';

const program = 'cmd/postern.ts';

/** What `find` finds in the sources, each once, sorted. */
function inSources(find: (text: string, file: string) => readonly string[]): readonly string[] {
  const files = globSync('{cmd,internal}/**/*.ts', { cwd: root, exclude: ['**/*.test.ts'] });
  return [...new Set(files.flatMap(file => find(readFileSync(join(root, file), 'utf8'), file)))].sort();
}

/** Files of code that run by themselves, named by the sources. */
export const workers = inSources(workersIn);

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

/**
 * One file `main.cjs` in `folder`, and one for each worker, for the single binary. CommonJS, because a module loads all of
 * Node's modules that are named anywhere in it before it begins, which takes longer than most commands.
 */
export async function bundleSingle(folder: string, identity: BuildIdentity): Promise<Metafile> {
  const plugins = [
    manifestPlugin(identity),
    packageNamesPlugin(),
    koffiPlugin('embedded'),
    keyringPlugin('embedded'),
    stringWidthPlugin(),
    sourceFormsPlugin('embedded', name => `require(${JSON.stringify(addonModule)}).embeddedModule('${name}.js')`),
  ];
  const { metafile } = await build({
    ...common,
    format: 'cjs',
    entryPoints: [program],
    outfile: join(folder, 'main.cjs'),
    // Compiled code that is kept cannot import; a `require` takes its place.
    supported: { 'dynamic-import': false },
    define: {
      'import.meta.url': 'urlOfBinary',
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
    },
    banner: { js: `const urlOfBinary = require('node:url').pathToFileURL(process.execPath).href;` },
    plugins,
  });
  const ofWorkers = await build({
    ...common,
    entryPoints: workers.map(file => ({ in: file, out: workerName(file) })),
    outdir: folder,
    banner: withRequire('process.execPath'),
    plugins,
  });
  return { ...metafile, inputs: { ...metafile.inputs, ...ofWorkers.metafile.inputs } };
}

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
      manifestPlugin({}),
      packageNamesPlugin(),
      koffiPlugin('beside'),
      keyringPlugin('beside'),
      stringWidthPlugin(),
      sourceFormsPlugin('beside', name => `new URL('./${name}.js', import.meta.url)`),
    ],
  });
  // A file of its own: what nobody asks for is not even read.
  const ofPackages = await build({
    ...common,
    format: 'cjs',
    define: {},
    entryPoints: inSources(latePackagesIn).map(name => ({ in: name, out: latePackageFile(name).replace('.cjs', '') })),
    outdir: folder,
    outExtension: { '.js': '.cjs' },
  });
  return { ...metafile, inputs: { ...metafile.inputs, ...ofPackages.metafile.inputs } };
}
