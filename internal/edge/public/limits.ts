// Limits on visitors, the same for HTTP/1.1 and HTTP/2.

export interface VisitorTimeouts {
  /** For a request's head, and for a TLS handshake: slow-loris. Bodies may take as long as they flow. */
  readonly headersMs: number;
  /** How long a connection without a request is kept. */
  readonly keepAliveMs: number;
}

/** Keep-alive is a little above the idle time of common clients and balancers (60 s). */
export const visitorTimeouts: VisitorTimeouts = { headersMs: 20_000, keepAliveMs: 75_000 };
/** Large cookies and tokens pass; a header bomb does not. */
export const maxHeaderBytes = 128 * 1024;
/** Header fields of one request, so that many tiny ones cannot cost more than a few large ones. */
export const maxHeaders = 1_024;
/** Connections of visitors at once, over both listeners; some 40 KiB each. */
export const maxConnections = 20_000;
