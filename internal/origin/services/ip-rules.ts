// The allow list of the socks-proxy service: which addresses and ports it may be used for.
// Source: docs/protocol/ingress-and-origin.md §10.4: first match decides, no match denies.

import { PosternError } from '../../errors/error.ts';
import { type IpBytes, unmapIpv4 } from '../../net/address/ip.ts';
import { type Prefix, parsePrefix, prefixContains } from '../../net/address/prefix.ts';
import type { IpRule } from '../../schema/origin-request.ts';

export class IpRules {
  readonly #rules: readonly { readonly prefix: Prefix; readonly ports: readonly number[]; readonly allow: boolean }[];

  /** Throws 'config.invalid' for text that is not a prefix, which validated rules never have. */
  constructor(rules: readonly IpRule[]) {
    this.#rules = rules.map(rule => {
      const prefix = parsePrefix(rule.prefix);
      if (prefix === undefined) throw new PosternError('config.invalid', `unable to parse cidr: ${rule.prefix}`);
      return { prefix, ports: rule.ports, allow: rule.allow };
    });
  }

  /** An IPv4 address mapped into IPv6 is judged as the IPv4 address it reaches. */
  allows(address: IpBytes, port: number): boolean {
    const plain = unmapIpv4(address);
    for (const { prefix, ports, allow } of this.#rules) {
      if ((ports.length === 0 || ports.includes(port)) && prefixContains(prefix, plain)) return allow;
    }
    return false;
  }
}
