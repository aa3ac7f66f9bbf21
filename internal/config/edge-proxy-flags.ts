// The flags of a forward proxy on the way to the edge. Ours: a stock connector has none.

import type { Flag } from './flag.ts';

export const edgeProxyFlags = [
  {
    name: 'edge-proxy',
    type: 'string',
    env: ['POSTERN_EDGE_PROXY'],
    fromFile: true,
    secret: true,
    valueName: 'URL|env',
    description:
      'Forward proxy to the edge and its API, http, https or socks5; env takes HTTPS_PROXY and NO_PROXY. A password ' +
      'belongs into the variable, the config file or --edge-proxy-auth-file',
  },
  {
    name: 'edge-proxy-auth-file',
    type: 'string',
    env: ['POSTERN_EDGE_PROXY_AUTH_FILE'],
    fromFile: true,
    valueName: 'FILE',
    description: 'File with USER:PASSWORD for the proxy of --edge-proxy, readable by its owner only',
  },
] as const satisfies readonly Flag[];
