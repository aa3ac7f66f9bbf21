// What esbuild does not know by itself: native parts of packages, files of code that run by themselves, and one package that costs
// a third of a start.

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Plugin } from 'esbuild';
import { root } from './root.ts';

/** The source that loads native parts. */
export const addonModule = resolve(root, 'internal/net/native/addon.ts');

/** Where native parts are: files beside the bundled ones, or inside of the single binary. */
export type NativePlace = 'beside' | 'embedded';

/** The text of a CommonJS module that is the native part `fileName`. */
function nativeModule(fileName: string, place: NativePlace): string {
  const addon = JSON.stringify(addonModule);
  const contents = {
    beside: `
      const { existsSync } = require('node:fs');
      const { loadAddon, nativeFolders } = require(${addon});
      const paths = nativeFolders.map(folder => __dirname + '/prebuilt/' + folder + '/${fileName}').filter(existsSync);
      let refused = new Error('There is no ${fileName} for this platform');
      for (const path of paths) {
        try {
          module.exports = loadAddon(path);
          refused = undefined;
          break;
        } catch (error) {
          refused = error;
        }
      }
      if (refused !== undefined) throw refused;`,
    embedded: `module.exports = require(${addon}).embeddedAddon('${fileName}');`,
  };
  return contents[place];
}

/** What a build says of itself where it differs from the checkout. */
export interface BuildIdentity {
  /** Default: the manifest's. */
  readonly version?: string;
  /** Where the program finds releases and whose signatures it takes; without it there is no `postern update`. */
  readonly updates?: { readonly url: string; readonly roots: readonly string[] };
}

/** The checkout's manifest as the program sees it: what nobody reads at run time is left out. */
export function manifestPlugin({ version, updates }: BuildIdentity): Plugin {
  return {
    name: 'manifest',
    setup(build) {
      build.onLoad({ filter: /[\\/]package\.json$/ }, async ({ path }) => {
        if (path !== resolve(root, 'package.json')) return undefined;
        const { version: own } = JSON.parse(await readFile(path, 'utf8')) as { readonly version: string };
        return { contents: JSON.stringify({ version: version ?? own, updates }), loader: 'json' };
      });
    },
  };
}

/**
 * koffi without its search for a binary. Its ESM entry makes a `require` of its own, which a bundler cannot follow, so the
 * CommonJS one is taken.
 */
export function koffiPlugin(place: NativePlace): Plugin {
  return {
    name: 'koffi',
    setup(build) {
      build.onResolve({ filter: /^koffi$/ }, () => ({ path: resolve(root, 'node_modules/koffi/index.cjs') }));
      build.onResolve({ filter: /^@koromix\/koffi-/ }, () => ({ path: 'addon', namespace: 'koffi' }));
      build.onLoad({ filter: /.*/, namespace: 'koffi' }, () => ({
        contents: nativeModule('koffi.node', place),
        loader: 'js',
        resolveDir: root,
      }));
    },
  };
}

/** The keychain's package is nothing but a search for its native part: the part takes its place. */
export function keyringPlugin(place: NativePlace): Plugin {
  return {
    name: 'keyring',
    setup(build) {
      build.onLoad({ filter: /[\\/]@napi-rs[\\/]keyring[\\/]index\.js$/ }, () => ({
        contents: nativeModule('keyring.node', place),
        loader: 'js',
        resolveDir: root,
      }));
    },
  };
}

/**
 * Three copies of string-width build an `Intl.Segmenter` and large expressions each time help is shown. Help texts need no
 * more than characters of one column.
 */
export function stringWidthPlugin(): Plugin {
  return {
    name: 'string-width',
    setup(build) {
      build.onResolve({ filter: /^string-width$/ }, () => ({ path: 'string-width', namespace: 'string-width' }));
      build.onLoad({ filter: /.*/, namespace: 'string-width' }, () => ({
        contents: `
          import { stripVTControlCharacters } from 'node:util';
          export default text => [...stripVTControlCharacters(String(text)).normalize('NFC')].length;`,
        loader: 'js',
      }));
    },
  };
}

/**
 * `await import('package')` of a CommonJS package: its names are those that Node finds, which a bundler, that cuts a file at
 * each such import, leaves out.
 */
export function packageNamesPlugin(): Plugin {
  return {
    name: 'package-names',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path, kind, namespace }) =>
        kind === 'dynamic-import' && namespace === 'file' && !path.startsWith('node:')
          ? { path, namespace: 'package-names' }
          : undefined,
      );
      build.onLoad({ filter: /.*/, namespace: 'package-names' }, async ({ path }) => {
        const names = Object.keys(await import(path)).filter(name => name !== 'module.exports');
        return { contents: `export { ${names.join(', ')} } from '${path}';`, loader: 'js', resolveDir: root };
      });
    },
  };
}

/** `new URL('./name.ts', import.meta.url)`: how sources name a file of code that runs by itself, a worker. */
const ownFile = /new URL\(\s*'(\.{1,2}\/[^']+)\.ts',\s*import\.meta\.url,?\s*\)/g;

/** Names such a file in a build: `internal/store/writer.ts` is `worker-internal-store-writer`. */
export function workerName(path: string): string {
  return `worker-${path.replace(/\.ts$/, '').replaceAll(/[^\w]+/g, '-')}`;
}

/** Paths of such files, relative to the checkout, in a text of `file`. */
export function workersIn(text: string, file: string): string[] {
  return [...text.matchAll(ownFile)].map(([, path = '']) => ownPath(file, path));
}

/** `createRequire(import.meta.url)('package')`: how sources load a package when it is first needed, without waiting. */
const lateRequire = /createRequire\(import\.meta\.url\)\(\s*('[^'./][^']*')\s*\)/g;

/** Packages that sources load by themselves when they are first needed. */
export function latePackagesIn(text: string): string[] {
  return [...text.matchAll(lateRequire)].map(([, quoted = '']) => quoted.slice(1, -1));
}

/** Names the file of such a package in a build: `@scope/name` is `package-scope-name.cjs`. */
export function latePackageFile(name: string): string {
  return `package-${name.replaceAll(/[^\w]+/g, '-').replace(/^-/, '')}.cjs`;
}

/**
 * The two forms of the sources that a bundler does not follow: a late `require` of a package, whose code is a file `beside` those
 * of the build or inside of the one that asks; and the file of a worker, for which `worker` gives the expression that `new Worker`
 * takes.
 */
export function sourceFormsPlugin(place: NativePlace, worker: (name: string) => string): Plugin {
  return {
    name: 'source-forms',
    setup(build) {
      build.onResolve({ filter: /^\.\/package-[\w-]+\.cjs$/ }, ({ path }) => ({ path, external: true }));
      build.onLoad({ filter: /[\\/](cmd|internal)[\\/].*\.ts$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        const contents = text
          .replaceAll(ownFile, (_, named: string) => worker(workerName(ownPath(path, named))))
          .replaceAll(lateRequire, (_, name: string) =>
            place === 'embedded' ? `require(${name})` : `require('./${latePackageFile(name.slice(1, -1))}')`,
          );
        return { contents, loader: 'ts' };
      });
    },
  };
}

function ownPath(file: string, relativePath: string): string {
  const absolute = resolve(dirname(resolve(root, file)), `${relativePath}.ts`);
  return absolute.slice(root.length + 1).replaceAll('\\', '/');
}
