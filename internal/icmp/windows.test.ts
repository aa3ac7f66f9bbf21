import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../../test/support/wait.ts';
import { writeIcmpMessage } from '../net/packet/packet-icmp.ts';
import { type EchoCall, type EchoCalls, WindowsEcho } from './windows.ts';

const host = Uint8Array.of(10, 0, 0, 1);

/** Keeps the contract of the system calls: completion later, once, with views that do not last. */
class MemoryCalls implements EchoCalls {
  readonly sent: EchoCall[] = [];
  status = 0;
  refuse = false;
  hold: Array<() => void> | undefined;
  closed = false;

  send(request: EchoCall, done: (status: number, data: Uint8Array) => void): boolean {
    if (this.refuse) return false;
    const data = request.data.slice();
    this.sent.push({ ...request, data });
    const complete = (): void => {
      const view = this.status === 0 ? data.slice() : new Uint8Array(0);
      if (!this.closed) done(this.status, view);
      view.fill(0xee);
    };
    if (this.hold === undefined) setImmediate(complete);
    else this.hold.push(complete);
    return true;
  }

  close(): void {
    this.closed = true;
  }
}

function request(sequence: number, text: string): Uint8Array {
  const data = Buffer.from(text);
  const out = new Uint8Array(8 + data.length);
  writeIcmpMessage(out, 0, { type: 8, code: 0, identifier: 1, sequence, data }, 0);
  return out;
}

describe('echo by system call, as on Windows', () => {
  it('gives each reply the sequence of its request, empty data too', async () => {
    const calls = new MemoryCalls();
    const source = Uint8Array.of(10, 0, 0, 9);
    const platform = new WindowsEcho(calls, source);
    const got: string[] = [];
    const flow = platform.openFlow(host, (from, sequence, data) =>
      got.push(`${from.join('.')} ${sequence} ${Buffer.from(data).toString()}`),
    );
    assert.ok(flow.request(request(1, 'one')) && flow.request(request(0xffff, '')));
    await until('replies', () => got.length === 2);
    assert.deepEqual(got, ['10.0.0.1 1 one', '10.0.0.1 65535 ']);
    assert.deepEqual(calls.sent[0]?.source, source);
    assert.deepEqual(calls.sent[0]?.destination, host);
  });

  it('counts requests without reply by their status', async () => {
    const calls = new MemoryCalls();
    const platform = new WindowsEcho(calls, undefined);
    calls.status = 11_010;
    const flow = platform.openFlow(host, () => assert.fail('no reply expected'));
    flow.request(request(1, 'x'));
    await until('counted', () => platform.failures.get(11_010) === 1);
    calls.refuse = true;
    assert.ok(!flow.request(request(2, 'x')));
  });

  it('waits for a bounded number of requests, and for none of a closed flow', async () => {
    const calls = new MemoryCalls();
    calls.hold = [];
    const platform = new WindowsEcho(calls, undefined);
    let replies = 0;
    const flow = platform.openFlow(host, () => {
      replies += 1;
    });
    const taken = Array.from({ length: 300 }, (_, index) => flow.request(request(index, 'x'))).filter(Boolean).length;
    assert.equal(taken, 256);
    calls.hold.shift()?.();
    assert.equal(replies, 1);
    assert.ok(flow.request(request(300, 'x')));
    flow.close();
    for (const complete of calls.hold) complete();
    assert.equal(replies, 1);
    assert.ok(!flow.request(request(301, 'x')));
    // All slots are free again for other flows.
    calls.hold = undefined;
    const next = platform.openFlow(host, () => {
      replies += 1;
    });
    for (let index = 0; index < 256; index += 1) assert.ok(next.request(request(index, 'x')));
    await until('all replies', () => replies === 257);
    platform.close();
    assert.ok(calls.closed);
  });
});
