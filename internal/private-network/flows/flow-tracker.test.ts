import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPosternError } from '../../errors/error.ts';
import { createTunnelId } from '../../schema/api/id.ts';
import type { FlowEvent, FlowSubject } from './flow.ts';
import { FlowTracker } from './flow-tracker.ts';

const tunnelId = createTunnelId();
const subject = (fields: Partial<FlowSubject> = {}): FlowSubject => ({
  ...{
    onRamp: 'socks',
    protocol: 'tcp',
    accountTag: 'a',
    networkId: 'n',
    sourceAddress: '192.0.2.1',
    sourcePort: 4000,
  },
  destination: '10.0.0.1',
  destinationPort: 80,
  ...fields,
});

describe('flow tracker', () => {
  it('tells beginning and end once, with the bytes of that moment', () => {
    let nowMs = 1_000;
    const tracker = new FlowTracker({ now: () => nowMs });
    const events: FlowEvent[] = [];
    const stop = tracker.subscribe(event => events.push(event));
    const flow = tracker.open(subject(), tunnelId);
    let up = 5;
    flow.measure = () => ({ up, down: 7 });
    assert.deepEqual([flow.bytes, flow.startedAtMs, tracker.size], [{ up: 5, down: 7 }, 1_000, 1]);
    nowMs = 3_000;
    flow.end('idle');
    up = 99;
    flow.end('closed');
    assert.deepEqual(
      events.map(event => event.kind),
      ['started', 'ended'],
    );
    const [, ended] = events;
    assert.ok(ended?.kind === 'ended');
    assert.deepEqual([ended.reason, ended.endedAtMs, ended.flow.bytes], ['idle', 3_000, { up: 5, down: 7 }]);
    assert.equal(tracker.size, 0);
    stop();
    tracker.open(subject(), tunnelId).end('closed');
    assert.equal(events.length, 2);
  });

  it('limits flows in all, of an account and of a source, and gives places back', () => {
    const tracker = new FlowTracker({ limits: { total: 4, perAccount: 3, perSource: 2 } });
    const denied: string[] = [];
    tracker.subscribe(event => {
      if (event.kind === 'denied') denied.push(event.reason);
    });
    const refused = (fields: Partial<FlowSubject>) =>
      assert.throws(
        () => tracker.open(subject(fields), tunnelId),
        error => isPosternError(error, 'flow.limit'),
      );
    const first = tracker.open(subject(), tunnelId);
    tracker.open(subject(), tunnelId);
    refused({});
    tracker.open(subject({ sourceAddress: '192.0.2.2' }), tunnelId);
    refused({ sourceAddress: '192.0.2.3' });
    tracker.open(subject({ sourceAddress: '192.0.2.3', accountTag: 'b' }), tunnelId);
    refused({ sourceAddress: '192.0.2.4', accountTag: 'c' });
    assert.deepEqual(denied, ['limit', 'limit', 'limit']);
    first.end('closed');
    tracker.open(subject(), tunnelId);
    tracker.close();
    assert.equal(tracker.size, 0);
  });

  it('cuts flows in the way their opener said', () => {
    const tracker = new FlowTracker();
    const events: FlowEvent[] = [];
    tracker.subscribe(event => events.push(event));
    const flow = tracker.open(subject(), tunnelId);
    let cut = '';
    flow.cut = reason => {
      cut = reason;
      flow.end(reason);
    };
    tracker.close();
    assert.equal(cut, 'edge-stopped');
    assert.equal(events.at(-1)?.kind, 'ended');
  });
});
