import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TestClock } from '../../../test/support/test-clock.ts';
import { type MachineChange, machineAddresses, watchMachine } from './machine-watch.ts';

function watch(clock = new TestClock()) {
  const changes: MachineChange[] = [];
  const machine = { addresses: ['192.0.2.10'] };
  const end = watchMachine({ clock, addresses: () => machine.addresses, changed: change => changes.push(change) });
  return { changes, clock, end, machine };
}

describe('machine watch', () => {
  it('is quiet while nothing happens, also with a slewed clock', async () => {
    const { changes, clock, end } = watch();
    for (let second = 0; second < 60; second += 1) {
      clock.jumpWall(second % 2 === 0 ? 50 : -50);
      await clock.advance(1_000);
    }
    assert.deepEqual(changes, []);
    end();
    assert.equal(clock.pending, 0);
  });

  it('notices sleep and a clock set back', async () => {
    const { changes, clock } = watch();
    clock.jumpWall(60_000);
    await clock.advance(1_000);
    assert.deepEqual(changes, ['clock-jump']);
    clock.jumpWall(-60_000);
    await clock.advance(1_000);
    await clock.advance(5_000);
    assert.deepEqual(changes, ['clock-jump', 'clock-jump']);
  });

  it('notices that the process was suspended', async () => {
    const { changes, clock } = watch();
    await clock.suspend(10_000);
    assert.deepEqual(changes, ['suspended']);
  });

  it('notices other addresses once, not another order', async () => {
    const { changes, clock, machine } = watch();
    machine.addresses = ['192.0.2.10', '198.51.100.1'];
    await clock.advance(1_000);
    assert.deepEqual(changes, ['addresses']);
    machine.addresses = ['198.51.100.1', '192.0.2.10'];
    await clock.advance(2_000);
    assert.deepEqual(changes, ['addresses']);
  });
});

describe('the addresses of the machine', () => {
  it('are those of the last time while no descriptor is free to ask', () => {
    const entry = { family: 'IPv4', internal: false, netmask: '', mac: '', cidr: null } as const;
    const read = () => ({ eth0: [{ ...entry, address: '192.0.2.1' }] });
    assert.deepEqual(machineAddresses(read), ['192.0.2.1']);
    const refuse = (): never => {
      throw Object.assign(new Error('uv_interface_addresses returned EMFILE'), { code: 'EMFILE' });
    };
    assert.deepEqual(machineAddresses(refuse), ['192.0.2.1']);
  });
});
