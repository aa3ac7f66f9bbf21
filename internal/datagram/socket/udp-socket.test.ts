// One suite for every variant of the UDP seam.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openUdpEcho } from '../../../test/support/udp-echo.ts';
import { until } from '../../../test/support/wait.ts';
import type { PosternError } from '../../errors/error.ts';
import { chooseUdp } from './open-udp.ts';
import { type OpenUdp, openNodeUdp, type UdpEvents } from './udp-socket.ts';

const loopback = Uint8Array.of(127, 0, 0, 1);

class Events implements UdpEvents {
  connects = 0;
  readonly messages: string[] = [];
  readonly errors: PosternError[] = [];
  drops = 0;

  connected(): void {
    this.connects += 1;
  }

  message(payload: Uint8Array): void {
    this.messages.push(Buffer.from(payload).toString('latin1'));
  }

  dropped(_why: string, count: number): void {
    this.drops += count;
  }

  failed(error: PosternError): void {
    this.errors.push(error);
  }
}

const openers: ReadonlyArray<readonly [string, OpenUdp]> = [
  ['node:dgram', openNodeUdp],
  ['chosen', await chooseUdp()],
];

for (const [name, openUdp] of openers) {
  describe(`UDP sockets: ${name}`, () => {
    it('carry datagrams of all sizes in one turn, in order, whole', async () => {
      const echo = await openUdpEcho();
      const events = new Events();
      const socket = openUdp(loopback, echo.port, events);
      await until('connected', () => events.connects === 1);
      // Equal ones, a shorter one after them, longer again, empty ones, one alone: each way of gathering.
      const sizes = [1200, 1200, 1200, 700, 700, 1280, 0, 0, 5, 5, 6, 1, 1280, 1280];
      const view = new Uint8Array(1280);
      const expected = sizes.map((size, index) => {
        view.fill(65 + index);
        assert.equal(socket.send(view.subarray(0, size)), 'sent');
        return String.fromCharCode(65 + index).repeat(size);
      });
      view.fill(0);
      await until('echoes', () => events.messages.length === sizes.length);
      assert.deepEqual(events.messages, expected);
      assert.equal(echo.sources.size, 1);
      socket.close();
      socket.close();
      assert.equal(socket.send(view), 'failed');
      await echo.close();
    });

    it('serve hundreds of sockets that are readable at once, and more after all were closed', async () => {
      const echo = await openUdpEcho();
      const many = Array.from({ length: 200 }, () => new Events());
      const sockets = many.map(events => openUdp(loopback, echo.port, events));
      await until('connected', () => many.every(events => events.connects === 1));
      // A round at a time: the echo's receive buffer does not hold all three.
      for (let round = 0; round < 3; round += 1) {
        for (const [index, socket] of sockets.entries()) socket.send(Buffer.from(`${index}.${round}`));
        await until('echoes', () => many.every(events => events.messages.length === round + 1));
      }
      for (const [index, events] of many.entries())
        assert.deepEqual(events.messages, [`${index}.0`, `${index}.1`, `${index}.2`]);
      for (const socket of sockets) socket.close();
      // A socket opened after all were closed is watched like the first.
      const late = new Events();
      const socket = openUdp(loopback, echo.port, late);
      await until('connected', () => late.connects === 1);
      socket.send(Buffer.from('late'));
      await until('echo', () => late.messages.length === 1);
      socket.close();
      await echo.close();
    });

    it('keep sockets apart that send in turns', async () => {
      const echo = await openUdpEcho();
      const both = [new Events(), new Events()];
      const sockets = both.map(events => openUdp(loopback, echo.port, events));
      await until('connected', () => both.every(events => events.connects === 1));
      for (let round = 0; round < 20; round += 1)
        for (const [index, socket] of sockets.entries()) socket.send(Buffer.from(`${index}.${round}`));
      await until('echoes', () => both.every(events => events.messages.length === 20));
      for (const [index, events] of both.entries())
        assert.deepEqual(
          events.messages,
          Array.from({ length: 20 }, (_, round) => `${index}.${round}`),
        );
      for (const socket of sockets) socket.close();
      await echo.close();
    });

    it('carry long bursts of full batches', async () => {
      const echo = await openUdpEcho();
      const events = new Events();
      const socket = openUdp(loopback, echo.port, events);
      await until('connected', () => events.connects === 1);
      for (let turn = 1; turn <= 10; turn += 1) {
        for (let index = 0; index < 70; index += 1) socket.send(Buffer.from('b'.repeat(1000)));
        await until('echoes', () => events.messages.length === turn * 70);
      }
      assert.ok(events.messages.every(message => message === 'b'.repeat(1000)));
      assert.equal(events.drops, 0);
      socket.close();
      await echo.close();
    });

    it('send what they took before they are closed', async () => {
      const echo = await openUdpEcho();
      const events = new Events();
      const socket = openUdp(loopback, echo.port, events);
      await until('connected', () => events.connects === 1);
      socket.send(Buffer.from('last words'));
      socket.close();
      await until('received', () => echo.received.length === 1);
      await echo.close();
    });

    it('fail when their port is closed, once, and say nothing after', async () => {
      const echo = await openUdpEcho();
      await echo.close();
      const events = new Events();
      const socket = openUdp(loopback, echo.port, events);
      await until('connected', () => events.connects === 1);
      socket.send(Buffer.from('x'));
      await until('failed', () => events.errors.length === 1);
      assert.equal(events.errors[0]?.code, 'dial.failed');
      assert.match(events.errors[0]?.message ?? '', /^unable to dial udp to origin 127\.0\.0\.1:/);
      assert.equal(socket.send(Buffer.from('y')), 'failed');
    });

    it('report a destination that cannot be dialled', async () => {
      const events = new Events();
      const socket = openUdp(loopback, 0, events);
      await until('failed', () => events.errors.length === 1);
      assert.equal(events.connects, 0);
      socket.close();
      // No route for the documentation prefix of IPv6 unless this machine has a default one: then it connects.
      const other = new Events();
      const second = openUdp(Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 53, other);
      await until('decided', () => other.errors.length + other.connects === 1);
      second.close();
    });

    it('may be closed from within their own events', async () => {
      const echo = await openUdpEcho({ answer: () => Buffer.from('again') });
      const events = new Events();
      const socket = openUdp(loopback, echo.port, {
        connected: () => events.connected(),
        message: payload => {
          events.message(payload);
          socket.close();
        },
        dropped: (why, count) => events.dropped(why, count),
        failed: error => events.failed(error),
      });
      await until('connected', () => events.connects === 1);
      for (let index = 0; index < 5; index += 1) socket.send(Buffer.from('x'));
      await until('all arrived', () => echo.received.length === 5);
      await until('one message', () => events.messages.length === 1);
      assert.deepEqual(events.errors, []);
      await echo.close();
    });
  });
}
