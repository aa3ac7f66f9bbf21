#!/usr/bin/env node
// The program as installed: postern.ts with what was compiled, and stripped of types, kept between runs. That saves half the
// time of a start and a quarter of the memory, because Node's compiler for types is then not even loaded, which is why this
// file is not TypeScript. Where the directory cannot be written nothing is kept. It imports nothing by name, so that an old
// Node says what is missing instead of a SyntaxError.

const wanted = 24;

if (Number.parseInt(process.versions.node, 10) < wanted) {
  process.stderr.write(
    `Postern needs Node.js ${wanted} or newer; this is ${process.version}, ${process.execPath}. ` +
      'In a checkout, "npm run postern" brings one.\n',
  );
  process.exitCode = 1;
} else {
  start();
}

async function start() {
  const { enableCompileCache } = await import('node:module');
  const { fileURLToPath } = await import('node:url');
  enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/postern', import.meta.url)));
  await import('./postern.ts');
}
