// The iphlpapi calls behind windows.ts: structures, buffers, completion. An event and a registered wait per request bring
// the completion to the main thread. 64-bit layout. IPv4 was run under wine, IPv6 and real Windows were not.
// Source: Windows documentation of IcmpSendEcho2Ex, Icmp6SendEcho2, ICMP_ECHO_REPLY, ICMPV6_ECHO_REPLY.
//
//  IP_OPTION_INFORMATION (16)  0 ttl · 1 tos · 2 flags · 3 size · 8 pointer
//  ICMP_ECHO_REPLY (40)        0 address · 4 status · 8 rtt · 12 data size (2) · 16 data pointer · 24 options
//  ICMPV6_ECHO_REPLY (36)      0 port (2), flow (4), address (16), scope (4) · 28 status · 32 rtt · 36 data

import { PosternError } from '../errors/error.ts';
import type { EchoCall, EchoCalls } from './windows.ts';

const optionBytes = 16;
const reply4 = { bytes: 40, status: 4, dataSize: 12, data: 16 } as const;
const reply6 = { bytes: 36, status: 28, data: 36 } as const;
/** An ICMP error's data (8) and an IO_STATUS_BLOCK (16) must fit behind the reply. */
const replySlackBytes = 24;
const ioPending = 997;
const executeOnlyOnce = 8;
const defaultTtl = 128;
const family6 = 23;
/** The registered wait fires on its own if the system never signals; later than its own timeout. */
const waitSlackMs = 1_000;

/** Memory that the system writes while JavaScript runs: allocated outside the JavaScript heap. */
interface Block {
  readonly pointer: bigint;
  readonly bytes: Buffer;
}

interface Waiting {
  readonly blocks: readonly Block[];
  readonly event: bigint;
  readonly wait: bigint[];
  callback: unknown;
  done: ((status: number, data: Uint8Array) => void) | undefined;
}

/** Opens the handle of a family. Rejects 'unavailable' where the calls are missing or the system refuses. */
export async function openWindowsCalls(family: 4 | 6): Promise<EchoCalls> {
  const { default: koffi } = await import('koffi');
  const helper = koffi.load('iphlpapi.dll');
  const kernel = koffi.load('kernel32.dll');
  const open = helper.func(
    family === 4 ? 'intptr_t __stdcall IcmpCreateFile()' : 'intptr_t __stdcall Icmp6CreateFile()',
  );
  const closeFile = helper.func('int __stdcall IcmpCloseHandle(intptr_t h)');
  const send4 = helper.func(
    'uint32_t __stdcall IcmpSendEcho2Ex(intptr_t h, intptr_t event, void *apc, void *context, uint32_t source, ' +
      'uint32_t destination, void *data, uint16_t size, void *options, void *reply, uint32_t replySize, uint32_t timeout)',
  );
  const send6 = helper.func(
    'uint32_t __stdcall Icmp6SendEcho2(intptr_t h, intptr_t event, void *apc, void *context, void *source, ' +
      'void *destination, void *data, uint16_t size, void *options, void *reply, uint32_t replySize, uint32_t timeout)',
  );
  const parse4 = helper.func('uint32_t __stdcall IcmpParseReplies(void *reply, uint32_t size)');
  const parse6 = helper.func('uint32_t __stdcall Icmp6ParseReplies(void *reply, uint32_t size)');
  const lastError = kernel.func('uint32_t __stdcall GetLastError()');
  const createEvent = kernel.func(
    'intptr_t __stdcall CreateEventW(void *security, int manual, int initial, void *name)',
  );
  const closeHandle = kernel.func('int __stdcall CloseHandle(intptr_t h)');
  const waitCallback = koffi.proto(`void __stdcall PosternEchoWait${family}(void *context, uint8_t timedOut)`);
  const registerWait = kernel.func('RegisterWaitForSingleObject', 'int', [
    koffi.out(koffi.pointer('intptr_t')),
    'intptr_t',
    koffi.pointer(waitCallback),
    'void *',
    'uint32_t',
    'uint32_t',
  ]);
  const unregisterWait = kernel.func('int __stdcall UnregisterWait(intptr_t wait)');

  const handle = BigInt(open());
  if (handle === -1n) throw new PosternError('unavailable', `Windows refused an ICMP handle, error ${lastError()}`);
  const waiting = new Set<Waiting>();
  let closed = false;

  const allocate = (length: number): Block => {
    const pointer = koffi.alloc('uint8_t', length) as unknown as bigint;
    const bytes = Buffer.from(koffi.view(pointer, length));
    bytes.fill(0);
    return { pointer, bytes };
  };
  const release = (entry: Waiting): void => {
    waiting.delete(entry);
    if (entry.wait[0] !== undefined && entry.wait[0] !== 0n) unregisterWait(entry.wait[0]);
    closeHandle(entry.event);
    if (entry.callback !== undefined) koffi.unregister(entry.callback as never);
    for (const block of entry.blocks) koffi.free(block.pointer);
  };

  const send: EchoCalls['send'] = (request, done) => {
    if (closed) return false;
    const { data, timeoutMs } = request;
    // Zero bytes of data are allowed, a zero-sized allocation is not.
    const requestBlock = allocate(Math.max(1, data.length));
    requestBlock.bytes.set(data);
    const options = allocate(optionBytes);
    options.bytes[0] = defaultTtl;
    const layout = family === 4 ? reply4 : reply6;
    const reply = allocate(layout.bytes + Math.max(data.length, 8) + replySlackBytes);
    const source = allocate(28);
    const destination = allocate(28);
    const entry: Waiting = {
      blocks: [requestBlock, options, reply, source, destination],
      event: BigInt(createEvent(null, 1, 0, null)),
      wait: [0n],
      callback: undefined,
      done,
    };
    waiting.add(entry);
    const common = [requestBlock.pointer, data.length, options.pointer, reply.pointer, reply.bytes.length, timeoutMs];
    let replies: number;
    if (family === 4) {
      replies = send4(handle, entry.event, null, null, word4(request.source), word4(request.destination), ...common);
    } else {
      writeSocketAddress6(source.bytes, request.source);
      writeSocketAddress6(destination.bytes, request.destination);
      replies = send6(handle, entry.event, null, null, source.pointer, destination.pointer, ...common);
    }
    if (replies === 0 && lastError() !== ioPending) {
      release(entry);
      return false;
    }
    const complete = (): void => {
      if (!waiting.has(entry)) return;
      (family === 4 ? parse4 : parse6)(reply.pointer, reply.bytes.length);
      const status = reply.bytes.readUInt32LE(layout.status);
      const view = status === 0 ? replyData(reply, family, data.length) : new Uint8Array(0);
      try {
        entry.done?.(status, view);
      } finally {
        release(entry);
      }
    };
    // The callback comes without a callback scope of Node, and must not free itself: go on in a turn of its own.
    entry.callback = koffi.register(() => setImmediate(complete), koffi.pointer(waitCallback));
    if (registerWait(entry.wait, entry.event, entry.callback, null, timeoutMs + waitSlackMs, executeOnlyOnce) === 0) {
      // The request runs and will write into its blocks, so that nothing may be freed yet: wait by the clock instead.
      setTimeout(complete, timeoutMs + waitSlackMs).unref();
    }
    return true;
  };
  return {
    send,
    close: () => {
      if (closed) return;
      closed = true;
      // Closing the handle cancels what runs; each wait then fires and frees its blocks.
      for (const entry of waiting) entry.done = undefined;
      closeFile(handle);
    },
  };
}

/** The echoed data inside a reply buffer; nothing outside it is read whatever the system wrote there. */
function replyData(reply: Block, family: 4 | 6, requestBytes: number): Uint8Array {
  if (family === 6) return reply.bytes.subarray(reply6.data, reply6.data + requestBytes);
  const size = reply.bytes.readUInt16LE(reply4.dataSize);
  const offset = Number(reply.bytes.readBigUInt64LE(reply4.data) - reply.pointer);
  if (offset < 0 || offset + size > reply.bytes.length) return new Uint8Array(0);
  return reply.bytes.subarray(offset, offset + size);
}

/** IPv4 address as the 32-bit number whose bytes in memory are in network order; 0 = any. */
function word4(address: EchoCall['source']): number {
  if (address === undefined) return 0;
  return new DataView(address.buffer, address.byteOffset, 4).getUint32(0, true);
}

/** sockaddr_in6; `::` where no address is given, which the call needs rather than null. */
function writeSocketAddress6(out: Uint8Array, address: EchoCall['source']): void {
  out[0] = family6;
  if (address !== undefined) out.set(address, 8);
}
