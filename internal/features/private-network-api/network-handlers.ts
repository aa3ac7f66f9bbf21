// API calls on virtual networks. Source: docs/protocol/commands-and-api.md §9.6, §5.5.

import { randomUUID } from 'node:crypto';
import type { ApiHandlers } from '../../api/routes.ts';
import { apiProblem } from '../../control-plane/api-problem.ts';
import {
  type Caller,
  type ControlPlaneParts,
  formatOptionalTime,
  formatTime,
} from '../../control-plane/handler-context.ts';
import { isPosternError } from '../../errors/error.ts';
import { isUuid } from '../../schema/api/id.ts';
import type { NetworkRecord } from '../../store/contract/records.ts';

type NetworkHandlers = Pick<
  ApiHandlers<Caller>,
  'listNetworks' | 'addNetwork' | 'getNetwork' | 'updateNetwork' | 'deleteNetwork'
>;

export function createNetworkHandlers(parts: Pick<ControlPlaneParts, 'store' | 'now'>): NetworkHandlers {
  const { store, now } = parts;
  return {
    async listNetworks({ query }, caller) {
      const networks = await store.networks.list(caller.accountTag);
      return networks
        .filter(
          network =>
            (query.id === undefined || network.id === query.id.toLowerCase()) &&
            (query.name === undefined || network.name === query.name) &&
            (query.is_default === undefined || network.isDefault === query.is_default) &&
            (query.is_deleted === undefined || (network.deletedAtMs !== undefined) === query.is_deleted),
        )
        .map(showNetwork);
    },

    async addNetwork({ body }, caller) {
      requireName(body.name);
      const network: NetworkRecord = {
        id: randomUUID(),
        accountTag: caller.accountTag,
        name: body.name,
        comment: body.comment,
        isDefault: body.is_default_network,
        createdAtMs: now(),
        deletedAtMs: undefined,
      };
      await conflictsAreNames(() => store.networks.create(network));
      return showNetwork(network);
    },

    async getNetwork({ params }, caller) {
      const network = await store.networks.get(caller.accountTag, params.id.toLowerCase());
      if (network === undefined) throw apiProblem('notFound', 'Virtual network not found');
      return showNetwork(network);
    },

    async updateNetwork({ params, body }, caller) {
      if (body.name !== undefined) requireName(body.name);
      const present = await store.networks.get(caller.accountTag, params.id.toLowerCase());
      if (present?.isDefault === true && body.is_default_network === false) {
        throw apiProblem('defaultNetwork', 'There must be a default virtual network: make another one the default');
      }
      const network = await conflictsAreNames(() =>
        store.networks.update(caller.accountTag, params.id.toLowerCase(), {
          name: body.name,
          comment: body.comment,
          isDefault: body.is_default_network,
        }),
      );
      if (network === undefined) throw apiProblem('notFound', 'Virtual network not found');
      return showNetwork(network);
    },

    async deleteNetwork({ params, query }, caller) {
      const id = params.id.toLowerCase();
      const atMs = now();
      const outcome = await store.networks.remove(caller.accountTag, id, { atMs, force: query.force ?? false });
      if (outcome === 'busy') {
        throw apiProblem('networkInUse', 'There are routes in this virtual network: delete them first, or use --force');
      }
      if (outcome === 'default') {
        throw apiProblem(
          'defaultNetwork',
          'The default virtual network cannot be deleted: make another one the default',
        );
      }
      const network = await store.networks.get(caller.accountTag, id);
      if (outcome === 'missing' || network === undefined) throw apiProblem('notFound', 'Virtual network not found');
      return showNetwork(network);
    },
  };
}

function requireName(name: string): void {
  if (isUuid(name)) throw apiProblem('invalid', 'A virtual network cannot have a UUID as its name');
}

async function conflictsAreNames<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!isPosternError(error, 'store.conflict')) throw error;
    throw apiProblem('nameTaken', 'You already have a virtual network with this name.');
  }
}

function showNetwork(network: NetworkRecord) {
  return {
    id: network.id,
    name: network.name,
    comment: network.comment,
    is_default_network: network.isDefault,
    created_at: formatTime(network.createdAtMs),
    deleted_at: formatOptionalTime(network.deletedAtMs),
  };
}
