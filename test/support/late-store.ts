// A store that is as late as the contract allows: its feed tells changes only after the writing call has returned, and a
// test can hold the answers of calls. For tests of what follows a store.

import { ChangeFeed } from '../../internal/store/contract/changes.ts';
import type { Store, StoreParts } from '../../internal/store/contract/store.ts';

const partNames: readonly (keyof StoreParts)[] = [
  ...(['accounts', 'tunnels', 'hostnames', 'quickTunnels'] as const),
  ...(['presence', 'networks', 'ipRoutes', 'privateHostnames'] as const),
  ...(['users', 'groups', 'devices', 'audit', 'tokenUses', 'balancing'] as const),
];

type AnyMethod = (...args: unknown[]) => Promise<unknown>;

export interface HeldCalls {
  /** Settles when the first of the calls has been made, and the store has answered it. */
  readonly asked: Promise<void>;
  /** Lets the answers through, these and later ones. */
  release(): void;
}

export class LateStore {
  /** Owns the inner store: closing it closes that. */
  readonly store: Store;
  readonly #holds = new Map<string, { readonly asked: () => void; readonly released: Promise<void> }>();

  constructor(inner: Store) {
    const changes = new ChangeFeed();
    inner.changes.subscribe(change => setImmediate(() => changes.publish(change)));
    const parts = Object.fromEntries(partNames.map(name => [name, this.#part(name, inner[name])]));
    const close = (): Promise<void> => inner.close();
    this.store = {
      ...(parts as unknown as StoreParts),
      changes,
      isReachable: () => inner.isReachable(),
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  /** From now on the answers of this method wait. A read shows the store as it was when it was called. */
  hold<Part extends keyof StoreParts>(part: Part, method: keyof StoreParts[Part] & string): HeldCalls {
    const asked = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const key = `${part}.${method}`;
    this.#holds.set(key, { asked: asked.resolve, released: released.promise });
    return {
      asked: asked.promise,
      release: () => {
        this.#holds.delete(key);
        released.resolve();
      },
    };
  }

  #part(name: keyof StoreParts, part: object): object {
    const wrap = (method: string, inner: AnyMethod): AnyMethod => {
      return async (...args) => {
        const answer = await inner(...args);
        const hold = this.#holds.get(`${name}.${method}`);
        hold?.asked();
        await hold?.released;
        return answer;
      };
    };
    return Object.fromEntries(
      Object.entries(part).map(([method, inner]) => [method, wrap(method, inner as AnyMethod)]),
    );
  }
}
