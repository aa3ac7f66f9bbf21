// The commands on public ports, for the registry in ../tunnel-commands.ts: the same three for each protocol.

import type { PortProtocol } from '../../internal/store/contract/records.ts';
import type { CommandEntry } from '../command-entry.ts';

/** Sorted by path. */
export function portCommands(protocol: PortProtocol): readonly CommandEntry[] {
  const path = `tunnel route ${protocol}`;
  const upper = protocol.toUpperCase();
  return [
    {
      path,
      summary: `Lead a public ${upper} port of the edge to a tunnel`,
      inherits: 'tunnel',
      load: async () => ({ command: (await import('./route/port/add.ts')).addPort(protocol) }),
    },
    {
      path: `${path} delete`,
      summary: `Give a public ${upper} port back`,
      inherits: 'tunnel',
      load: async () => ({ command: (await import('./route/port/delete.ts')).deletePort(protocol) }),
    },
    {
      path: `${path} list`,
      summary: `List public ${upper} ports that lead to tunnels`,
      inherits: 'tunnel',
      load: async () => ({ command: (await import('./route/port/list.ts')).listPorts(protocol) }),
    },
  ];
}
