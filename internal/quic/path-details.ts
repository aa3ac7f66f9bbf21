// What the engine tells of a connection beyond `PathStats`, for a scrape: asking copies the congestion controller and reads
// the peer's transport parameters again. Order and numbers are those of native/src/figures.rs.

/** Kinds of frames under the names of cloudflared's labels, in the engine's order. Both directions of streams are one kind. */
const frameKinds = [
  ...['Ack', 'AckFrequency', 'ConnectionClose', 'Crypto', 'DataBlocked', 'Datagram', 'HandshakeDone', 'ImmediateAck'],
  ...['MaxData', 'MaxStreamData', 'MaxStreams', 'NewConnectionID', 'NewToken', 'PathChallenge', 'PathResponse', 'Ping'],
  ...['ResetStream', 'RetireConnectionID', 'StopSending', 'Stream', 'StreamDataBlocked', 'StreamsBlocked'],
];

/** Frames by kind; kinds that never came or went are left out. */
export type FrameCounts = readonly (readonly [kind: string, count: number])[];

export interface PathDetails {
  /** Round trip of the newest packet that was acknowledged, the peer's delay included. */
  readonly latestRttMs: number | undefined;
  /** 0 slow start, 1 congestion avoidance, 2 limited by the application, 3 recovery. */
  readonly congestionState: number | undefined;
  /** Largest UDP payload in bytes that the peer says it takes. */
  readonly maxUdpPayload: number | undefined;
  readonly sentFrames: FrameCounts;
  readonly receivedFrames: FrameCounts;
}

/** Numbers in front of the frames. */
const pathNumbers = 3;

/** From the engine's memory, right after its `pathDetails`. */
export function readPathDetails(memory: Float64Array): PathDetails {
  const known = (index: number): number | undefined => {
    const value = memory[index] ?? -1;
    return value < 0 ? undefined : value;
  };
  const frames = (from: number): FrameCounts =>
    frameKinds.map((kind, index) => [kind, memory[from + index] ?? 0] as const).filter(([, count]) => count > 0);
  return {
    latestRttMs: known(0),
    congestionState: known(1),
    maxUdpPayload: known(2),
    sentFrames: frames(pathNumbers),
    receivedFrames: frames(pathNumbers + frameKinds.length),
  };
}
