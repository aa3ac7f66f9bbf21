// Profiles of this process in the format of pprof, gzipped, as tools for Go's profiles read them: CPU time and allocations as V8
// samples them, and what the event loop waits for. They hold names of functions, files and counts, no values.
// Format: https://github.com/google/pprof/blob/main/proto/profile.proto

import { Session } from 'node:inspector/promises';
import { promisify } from 'node:util';
import { gzip, gzipSync } from 'node:zlib';
import { Line, Location, Function as PprofFunction, Profile, Sample, StringTable, ValueType } from 'pprof-format';

interface Frame {
  readonly functionName: string;
  readonly url: string;
  /** From 0; −1 = none. */
  readonly lineNumber: number;
}

interface ValueKind {
  readonly type: string;
  readonly unit: string;
}

/** V8's own default is finer; an allocation of 32 KiB in the mean costs nothing to notice. */
const heapIntervalBytes = 32 * 1024;
const cpuIntervalUs = 1_000;

/** Samples CPU time for `ms`, or until `signal`. */
export async function profileCpu(ms: number, signal: AbortSignal): Promise<Uint8Array> {
  const profile = await withSession(async session => {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: cpuIntervalUs });
    await session.post('Profiler.start');
    await pause(ms, signal);
    return (await session.post('Profiler.stop')).profile;
  });
  const writer = new ProfileWriter([
    { type: 'samples', unit: 'count' },
    { type: 'cpu', unit: 'nanoseconds' },
  ]);
  const totals = new Map<number, { count: number; us: number }>();
  for (const [at, id] of (profile.samples ?? []).entries()) {
    const total = totals.get(id) ?? { count: 0, us: 0 };
    total.count += 1;
    total.us += Math.max(0, profile.timeDeltas?.[at] ?? 0);
    totals.set(id, total);
  }
  const nodes = new Map(profile.nodes.map(node => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap(node => (node.children ?? []).map(child => [child, node.id])));
  for (const [id, { count, us }] of totals) {
    // Waiting takes no CPU time.
    if (nodes.get(id)?.callFrame.functionName === '(idle)') continue;
    const stack: Frame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = nodes.get(at)?.callFrame;
      if (frame !== undefined) stack.push(frame);
    }
    writer.add(stack, [count, Math.round(us * 1_000)]);
  }
  return promisify(gzip)(writer.finish(profile.endTime - profile.startTime));
}

/** As V8 gives it; Node's types leave out the ids and samples. */
interface HeapProfile {
  readonly head: HeapNode;
  readonly samples: readonly { readonly nodeId: number; readonly size: number }[];
}

interface HeapNode {
  readonly callFrame: Frame;
  readonly selfSize: number;
  readonly id: number;
  readonly children: readonly HeapNode[];
}

/** Samples allocations for `ms`, or until `signal`: those whose objects live at the end. */
export async function profileHeap(ms: number, signal: AbortSignal): Promise<Uint8Array> {
  const profile = await withSession(async session => {
    await session.post('HeapProfiler.startSampling', { samplingInterval: heapIntervalBytes });
    await pause(ms, signal);
    return (await session.post('HeapProfiler.stopSampling')).profile as unknown as HeapProfile;
  });
  const counts = new Map<number, number>();
  for (const { nodeId } of profile.samples) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
  const writer = new ProfileWriter([
    { type: 'inuse_objects', unit: 'count' },
    { type: 'inuse_space', unit: 'bytes' },
  ]);
  const visit = (node: HeapNode, above: readonly Frame[]): void => {
    const stack = [node.callFrame, ...above];
    if (node.selfSize > 0) writer.add(stack, [counts.get(node.id) ?? 1, node.selfSize]);
    for (const child of node.children) visit(child, stack);
  };
  visit(profile.head, []);
  return promisify(gzip)(writer.finish(ms * 1_000));
}

/** What the process waits for, by kind: sockets, timers, files. Where Go would show its goroutines. */
export function profileActivity(): Uint8Array {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const writer = new ProfileWriter([{ type: 'goroutine', unit: 'count' }]);
  for (const [functionName, count] of counts)
    writer.add([{ functionName, url: 'node:active-resources', lineNumber: -1 }], [count]);
  return gzipSync(writer.finish(0));
}

async function withSession<T>(use: (session: Session) => Promise<T>): Promise<T> {
  const session = new Session();
  session.connect();
  try {
    return await use(session);
  } finally {
    // Ends whatever was being sampled.
    session.disconnect();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}

/** Builds one profile: strings, functions and places once each. */
class ProfileWriter {
  readonly #strings = new StringTable();
  readonly #kinds: readonly ValueType[];
  readonly #samples: Sample[] = [];
  readonly #locations = new Map<string, Location>();
  readonly #functions: PprofFunction[] = [];

  constructor(kinds: readonly ValueKind[]) {
    this.#kinds = kinds.map(
      ({ type, unit }) => new ValueType({ type: this.#strings.dedup(type), unit: this.#strings.dedup(unit) }),
    );
  }

  /** `stack`: the innermost frame first; `values` one for each kind. */
  add(stack: readonly Frame[], values: number[]): void {
    this.#samples.push(new Sample({ locationId: stack.map(frame => this.#locationOf(frame)), value: values }));
  }

  finish(durationUs: number): Uint8Array {
    return new Profile({
      sampleType: [...this.#kinds],
      sample: this.#samples,
      location: [...this.#locations.values()],
      function: this.#functions,
      stringTable: this.#strings,
      timeNanos: BigInt(Date.now()) * 1_000_000n,
      durationNanos: BigInt(Math.round(durationUs)) * 1_000n,
    }).encode();
  }

  #locationOf({ functionName, lineNumber, url }: Frame): number | bigint {
    const line = lineNumber + 1;
    const key = `${functionName}\n${url}\n${line}`;
    const known = this.#locations.get(key);
    if (known !== undefined) return known.id;
    const id = this.#locations.size + 1;
    const name = this.#strings.dedup(functionName === '' ? '(anonymous)' : functionName);
    const filename = this.#strings.dedup(url);
    this.#functions.push(new PprofFunction({ id, name, systemName: name, filename, startLine: line }));
    this.#locations.set(key, new Location({ id, line: [new Line({ functionId: id, line })] }));
    return id;
  }
}
