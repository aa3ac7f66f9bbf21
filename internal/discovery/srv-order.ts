// The order in which SRV records are used: by priority, and randomised by weight inside one priority (RFC 2782).
// Source: docs/protocol/edge-protocol.md §2.1.

import type { SrvRecord } from './dns.ts';

/** A new list. `random` gives numbers from 0 up to, not including, 1. */
export function orderSrv(records: readonly SrvRecord[], random: () => number): readonly SrvRecord[] {
  const byPriority = new Map<number, SrvRecord[]>();
  for (const record of records) {
    const group = byPriority.get(record.priority);
    if (group === undefined) byPriority.set(record.priority, [record]);
    else group.push(record);
  }
  const priorities = [...byPriority.keys()].sort((a, b) => a - b);
  return priorities.flatMap(priority => drawByWeight(byPriority.get(priority) ?? [], random));
}

function drawByWeight(group: readonly SrvRecord[], random: () => number): SrvRecord[] {
  // RFC 2782 puts records of weight 0 first, so that they are rarely drawn while others remain.
  const left = [...group].sort((a, b) => a.weight - b.weight);
  const drawn: SrvRecord[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, record) => sum + record.weight, 0);
    let point = Math.floor(random() * (total + 1));
    const found = left.findIndex(record => {
      point -= record.weight;
      return point <= 0;
    });
    drawn.push(...left.splice(Math.max(found, 0), 1));
  }
  return drawn;
}
