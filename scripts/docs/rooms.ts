// The generated parts of the README's architecture section: a picture of the rooms of internal/ and their imports, and what
// each room owns. Drawn from the table that test/architecture holds the tree to.

import { everywhere, importTable } from '../../test/architecture/import-table.ts';
import { table } from './markdown.ts';

/** What each room owns, in a few words. */
const owns: Readonly<Record<string, string>> = {
  errors: 'one error class and its table',
  telemetry: 'logs',
  net: 'addresses, packets, streams, limits, time',
  wire: 'every message between connector and edge',
  schema: 'every JSON and YAML document',
  rpc: 'calls over one stream',
  quic: 'the QUIC engine',
  transport: 'the transport seam with its variants, QUIC and HTTP/2',
  discovery: 'finding edges and what they are trusted by',
  origin: 'one file a kind of origin',
  ingress: 'rules: host and path to a service',
  proxy: 'one request at the connector',
  datagram: 'UDP sessions, both ends',
  icmp: 'ping, a file a platform',
  config: 'settings and their sources',
  credentials: 'secrets at rest',
  api: 'routes of the control plane, and their client',
  management: 'health and metrics',
  service: 'word to the service manager that started the program',
  update: 'releases: their signed list, and the exchange of the program',
  store: 'state of the edge and the feed of its changes',
  certificates: 'keys and certificates of the edge',
  carriers: 'the connections that can carry a request',
  visitors: 'public HTTP, from listener to carrier',
  'private-network': 'from "who wants to reach what" to an open flow',
  'on-ramps': 'ways into private networks: SOCKS, HTTP proxy, DNS, ping',
  features: 'what an edge can do without, such as quick tunnels',
  'control-plane': 'the API',
  connector: 'the connector, tied together',
  edge: 'the edge, tied together',
};

/** A Mermaid picture, highest room first. An arrow leads to each room that no shorter chain of arrows leads to already. */
export function roomPicture(): string {
  const lines = Object.keys(importTable)
    .filter(room => !everywhere.includes(room))
    .map(room => ({ room, targets: nearest(room) }))
    .filter(({ targets }) => targets.length > 0)
    .sort((a, b) => levelOf(b.room) - levelOf(a.room))
    .map(({ room, targets }) => `  ${node(room)} --> ${targets.map(node).join(' & ')}`);
  return ['```mermaid', 'flowchart TD', ...lines, '```', ''].join('\n');
}

/** Rooms by height: a room imports only lower ones. */
export function roomTable(): string {
  const rooms = Object.keys(importTable);
  const highest = Math.max(...rooms.map(levelOf));
  const rows = Array.from({ length: highest + 1 }, (_, level) => {
    const here = rooms.filter(room => levelOf(room) === level);
    return [String(level), here.map(room => `\`${room}\`: ${ownedBy(room)}`).join('; ')];
  });
  return table(['height', 'rooms of `internal/`, and what each owns'], rows);
}

function ownedBy(room: string): string {
  const text = owns[room];
  if (text === undefined) throw new Error(`scripts/docs/rooms.ts does not say what the room ${room} owns`);
  return text;
}

function levelOf(room: string): number {
  return 1 + Math.max(-1, ...(importTable[room] ?? []).map(levelOf));
}

/** What a room imports, without what it reaches through another of them. */
function nearest(room: string): readonly string[] {
  const direct = importTable[room] ?? [];
  return direct.filter(target => !direct.some(other => other !== target && reachable(other).has(target)));
}

function reachable(room: string): ReadonlySet<string> {
  return new Set((importTable[room] ?? []).flatMap(target => [target, ...reachable(target)]));
}

/** Mermaid's ids have no hyphens. */
function node(room: string): string {
  return room.includes('-') ? `${room.replaceAll('-', '_')}["${room}"]` : room;
}
