import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createLogger } from '../../telemetry/logger.ts';
import { Refusals } from './refusals.ts';

it('counts every refusal and logs one a minute of each reason, with how many there were', () => {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({
    level: 'info',
    format: 'json',
    destination: { write: line => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  let nowMs = 0;
  const refusals = new Refusals<'a' | 'b'>(logger, 'Refused', () => nowMs);
  for (let round = 0; round < 1_000; round += 1) refusals.add('a', '192.0.2.1');
  refusals.add('b', '192.0.2.2');
  nowMs += 60_000;
  refusals.add('a', '192.0.2.3');
  assert.deepEqual(
    [...refusals.counts],
    [
      ['a', 1_001],
      ['b', 1],
    ],
  );
  assert.deepEqual(
    lines.map(({ reason, address, refused }) => [reason, address, refused]),
    [
      ['a', '192.0.2.1', 1],
      ['b', '192.0.2.2', 1],
      ['a', '192.0.2.3', 1_000],
    ],
  );
});
