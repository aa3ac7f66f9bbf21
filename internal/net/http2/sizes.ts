// Sizes that every HTTP/2 server and client of the program has in common. Source: RFC 9113 §6.5.2, §6.9.

/**
 * Receive window of a stream, as over QUIC: 20 MB/s at a round trip of 50 ms, and what a stalled reader can hold
 * (docs/flow-control.md).
 */
export const streamWindowBytes = 1 << 20;

/** Largest header list sent, to peers that announce as much or nothing: origins with 1.5 MB of headers have been seen. */
export const sentHeaderBytes = 2 << 20;
