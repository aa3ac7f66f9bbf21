import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../../../test/support/test-clock.ts';
import { until, within } from '../../../test/support/wait.ts';
import type { Dns } from '../../discovery/dns.ts';
import { featuresRecordName, protocolRecordName } from '../../discovery/rollout.ts';
import { PosternError } from '../../errors/error.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { RolloutWatch } from './rollout-watch.ts';

/** A resolver that answers TXT questions from a table; undefined fails, a promise waits. */
class TxtTable implements Dns {
  readonly records = new Map<string, string | Promise<string>>();
  asked = 0;

  srv = (): Promise<never> => Promise.reject(new Error('not asked'));
  addresses = (): Promise<never> => Promise.reject(new Error('not asked'));
  txt = async (name: string): Promise<readonly string[]> => {
    this.asked += 1;
    const text = await this.records.get(name);
    if (text === undefined) throw new PosternError('discovery.failed', `No TXT record ${name}`);
    return [text];
  };
}

/** Threshold of this account: 56. */
const accountTag = 'testAccountTag';
const protocols = (quic: number): string =>
  JSON.stringify([
    { protocol: 'quic', percentage: quic },
    { protocol: 'http2', percentage: 100 },
  ]);

describe('rollout watch', () => {
  it('learns what the records say, and again every hour; a failed look-up keeps the old value', async () => {
    const dns = new TxtTable();
    const clock = new TestClock();
    dns.records.set(protocolRecordName, protocols(56));
    dns.records.set(featuresRecordName, '{"dv3_2":57}');
    const watch = new RolloutWatch({ dns, accountTag, clock, logger: silentLogger() });
    assert.deepEqual([watch.protocol, watch.datagramV3], [undefined, false]);
    await watch.start();
    assert.deepEqual([watch.protocol, watch.datagramV3], ['http2', true]);
    dns.records.set(protocolRecordName, protocols(57));
    dns.records.delete(featuresRecordName);
    await clock.advance(60 * 60_000);
    await until('the new value', () => watch.protocol === 'quic');
    assert.equal(watch.datagramV3, true);
    watch.close();
    await clock.advance(60 * 60_000);
    assert.equal(dns.asked, 4);
  });

  it('keeps nobody waiting for more than three seconds', async () => {
    const dns = new TxtTable();
    const clock = new TestClock();
    const late = Promise.withResolvers<string>();
    dns.records.set(protocolRecordName, late.promise);
    const watch = new RolloutWatch({ dns, accountTag, clock, logger: silentLogger() });
    const started = watch.start();
    await clock.advance(3_000);
    await within('the start', started);
    assert.equal(watch.protocol, undefined);
    late.resolve(protocols(0));
    await until('the late value', () => watch.protocol === 'http2');
    watch.close();
  });
});
