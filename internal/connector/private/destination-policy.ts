// Which destinations this connector dials for others: private TCP, UDP and ICMP, and whatever a visitor of a bastion or
// SOCKS rule names.
// Decision: an edge decides which addresses have a route, and a good one lets a wide route such as 0.0.0.0/0 lead nowhere
// near the connector's own machine. A connector cannot see routes, and not every edge is that careful, so it keeps a guard
// of its own: destinations on this machine or its link (loopback, link-local, unspecified, multicast, broadcast) are
// refused unless its operator allows them with `--allow-destination`. Cloud metadata services are link-local, so this is
// also what keeps them private. The program's own metrics endpoint is refused always, for these and for destinations that
// visitors of bastion and SOCKS rules name. Names are judged by every address they resolve to, when they are dialled.

import { type IpBytes, isSpecialDestination, unmapIpv4 } from '../../net/address/ip.ts';
import { type Prefix, prefixContains } from '../../net/address/prefix.ts';
import { isOwnEndpoint, type OwnEndpoint } from './own-endpoints.ts';

export interface DestinationPolicyOptions {
  /** Special addresses that may be reached all the same. */
  readonly allowed: readonly Prefix[];
  /** This program's listeners now. */
  readonly own: () => readonly OwnEndpoint[];
  /** The machine's addresses now. */
  readonly machine: () => readonly string[];
}

export class DestinationPolicy {
  readonly #options: DestinationPolicyOptions;
  #allowed: readonly Prefix[];

  constructor(options: DestinationPolicyOptions) {
    this.#options = options;
    this.#allowed = options.allowed;
  }

  /** Other special addresses that may be reached, by what is dialled from now on. */
  setAllowed(allowed: readonly Prefix[]): void {
    this.#allowed = allowed;
  }

  /** UDP and ICMP. */
  readonly allowsAddress = (address: IpBytes): boolean => {
    if (!isSpecialDestination(address)) return true;
    const plain = unmapIpv4(address);
    return this.#allowed.some(prefix => prefixContains(prefix, plain));
  };

  /** Private TCP. */
  readonly allowsPrivate = (address: IpBytes, port: number): boolean =>
    this.allowsAddress(address) && this.allowsNamed(address, port);

  /** Destinations that a visitor of an ingress rule names: the rule's author opened this machine to them on purpose. */
  readonly allowsNamed = (address: IpBytes, port: number): boolean =>
    !isOwnEndpoint(address, port, this.#options.own(), this.#options.machine);
}
