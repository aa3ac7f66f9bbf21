// Node's modules `http` and `http2`, loaded without what nobody asks for. An `import` of `node:http` reads every export,
// and some of them (WebSocket and its events) load Node's whole undici: 16 MiB of resident memory and 50 ms, measured with
// Node 26. `http2` costs 10 MiB and is loaded when the first HTTP/2 connection is made.

/** Node's `http`. */
export const nodeHttp = process.getBuiltinModule('node:http');

/** Node's `http2`, loaded by the first call. */
export function nodeHttp2(): typeof import('node:http2') {
  return process.getBuiltinModule('node:http2');
}
