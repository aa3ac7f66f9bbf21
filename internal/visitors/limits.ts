// Limits on visitors, the same for HTTP/1.1 and HTTP/2.

export interface VisitorTimeouts {
  /** For a request's head, and for a TLS handshake: slow-loris. Bodies may take as long as they flow. */
  readonly headersMs: number;
  /** Between two pieces of a body that was announced with its length, and for a visitor who takes nothing of an answer. */
  readonly stallMs: number;
  /** Between two pieces of a body of unknown length until the answer begins: calls that stream may be silent for long. */
  readonly streamStallMs: number;
  /** How long an origin may take nothing of a body that it is sent; nginx's proxy_send_timeout is a minute. */
  readonly heldMs: number;
  /** How long a connection without a request is kept. */
  readonly keepAliveMs: number;
}

/** Keep-alive is a little above the idle time of common clients and balancers (60 s). A minute is nginx's patience, too. */
export const visitorTimeouts: VisitorTimeouts = {
  headersMs: 20_000,
  stallMs: 60_000,
  streamStallMs: 600_000,
  heldMs: 300_000,
  keepAliveMs: 75_000,
};
/** Large cookies and tokens pass; a header bomb does not. */
export const maxHeaderBytes = 128 * 1024;
/** Header fields of one request, so that many tiny ones cannot cost more than a few large ones. */
export const maxHeaders = 1_024;
/** Longest path with query, and longest value of a field, that go to a connector; browsers and servers stop far below. */
export const maxTargetBytes = 32 * 1024;
export const maxValueBytes = 32 * 1024;
/**
 * Largest head that goes to a connector, counted as RFC 9113 §6.5.2 does: what every connector takes over HTTP/2 (64 KiB,
 * internal/transport/http2/settings.ts) less what the edge adds. The same over QUIC, so that the outcome is the same.
 */
export const maxForwardedBytes = 62 * 1024;
