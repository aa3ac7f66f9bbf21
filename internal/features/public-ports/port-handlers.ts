// API calls about public ports. A caller's account gets ports from the ranges that it may take from, first come, and no
// more than an account may have; a port counts as given when this edge listens on it.

import { randomInt, randomUUID } from 'node:crypto';
import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import { type Caller, formatTime, requireTunnel } from '../../control-plane/handler-context.ts';
import { isPosternError } from '../../errors/error.ts';
import type { PortProtocol, PublicPortRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { formatRanges, isInRanges, type PortRange, rangesOf } from './port-range.ts';
import { settingsDocument, shownSettings } from './port-settings.ts';
import type { PublicPorts } from './ports.ts';

export interface PortHandlerParts {
  readonly store: Store;
  readonly ports: PublicPorts;
  readonly ranges: readonly PortRange[];
  readonly now: () => number;
}

/** Ports that one account may have: far more than services of a household, few enough to leave some for others. */
export const maxPerAccount = 100;
/** Free ports tried when any will do: other programs may use some of them. */
const maxTries = 20;

type Handlers = Pick<ApiHandlers<Caller>, 'listPublicPorts' | 'addPublicPort' | 'deletePublicPort'>;

export function createPortHandlers(parts: PortHandlerParts): Handlers {
  const { store, ports, ranges, now } = parts;
  const show = async (route: PublicPortRecord, status = ports.statusOf(route.id)) => {
    const { idle_timeout = 0, ...settings } = shownSettings(route);
    const tunnel = await store.tunnels.find(route.tunnelId);
    return {
      ...{ id: route.id, protocol: route.protocol, port: route.port, tunnel_id: route.tunnelId },
      ...{ tunnel_name: tunnel?.name ?? '', ...settings, idle_timeout },
      ...{ created_at: formatTime(route.createdAtMs), status },
    };
  };
  /** Stores a port and waits until it is listened on; a port that cannot be is given back. */
  const take = async (route: PublicPortRecord): Promise<'taken' | 'listening' | { readonly failure: string }> => {
    try {
      if ((await store.publicPorts.create(route, maxPerAccount)) === 'full')
        throw apiProblem('invalid', `The account has ${maxPerAccount} public ports already: delete one`);
    } catch (error) {
      if (isPosternError(error, 'store.conflict')) return 'taken';
      throw error;
    }
    ports.add(route);
    await ports.tried(route.id);
    const status = ports.statusOf(route.id);
    if (status === 'listening') return status;
    await store.publicPorts.remove(route.accountTag, route.id);
    return { failure: status };
  };
  return {
    async listPublicPorts(_input, caller) {
      const all = await store.publicPorts.list(caller.accountTag);
      return Promise.all(all.map(route => show(route)));
    },

    async addPublicPort({ body }, caller) {
      const tunnel = await requireTunnel(parts, caller, body.tunnel_id);
      const account = await store.accounts.get(caller.accountTag);
      const own = rangesOf(ranges, account?.name ?? '');
      if (own.length === 0)
        throw apiProblem(
          'invalid',
          'This edge gives out no public ports: its operator allows them with "postern edge run --public-ports 5000-5999"',
        );
      const { protocol, port, tunnel_id: _, ...given } = body;
      if (port !== 0 && !isInRanges(own, port))
        throw apiProblem('invalid', `Port ${port} is not one that this edge gives out: ${formatRanges(own)}`);
      const recordOf = (wanted: number): PublicPortRecord => ({
        ...{ id: randomUUID(), accountTag: caller.accountTag, protocol, port: wanted, tunnelId: tunnel.id },
        ...{ document: settingsDocument(protocol, wanted, given), createdAtMs: now() },
      });
      const candidates = port === 0 ? await freePorts(store, protocol, own) : [port];
      let reason = `every port of ${formatRanges(own)} is given out`;
      for (const candidate of candidates) {
        const route = recordOf(candidate);
        const outcome = await take(route);
        if (outcome === 'listening') return show(route);
        reason =
          outcome === 'taken'
            ? `port ${candidate} is given out already; choose another, or 0 for a free one`
            : outcome.failure;
      }
      throw apiProblem('invalid', `No ${protocol.toUpperCase()} port for the tunnel: ${reason}`);
    },

    async deletePublicPort({ params }, caller) {
      const id = params.id.toLowerCase();
      const status = ports.statusOf(id);
      const route = await store.publicPorts.remove(caller.accountTag, id);
      if (route === undefined) throw apiProblem('notFound', 'Public port not found');
      ports.remove(route);
      return show(route, status);
    },
  };
}

/** Some ports of the ranges that nobody has, in no order that somebody could guess. */
async function freePorts(store: Store, protocol: PortProtocol, ranges: readonly PortRange[]): Promise<number[]> {
  const taken = new Set((await store.publicPorts.list()).filter(one => one.protocol === protocol).map(one => one.port));
  const all = ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, at) => first + at));
  const free = [...new Set(all)].filter(port => !taken.has(port));
  const chosen: number[] = [];
  while (chosen.length < maxTries && free.length > 0) chosen.push(...free.splice(randomInt(free.length), 1));
  return chosen;
}
