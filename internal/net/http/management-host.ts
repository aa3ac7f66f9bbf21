// Host names by which connectors are asked themselves, in place of an origin. A connector trusts such a name alone: that its
// edge let nobody pass without a token is why it may. So an edge sends them down a tunnel from its management step only.
// Source: docs/protocol/ingress-and-origin.md §17.

/** The name that every edge uses unless it was told another, and that every connector answers to. */
export const defaultManagementHost = 'management.argotunnel.com';
/** The same for accounts of the United States' government. */
const fedManagementHost = 'management.fed.argotunnel.com';

/** Says of a Host header whether a connector might answer it itself. `own`: a further name. */
export function managementHostTest(own: string = defaultManagementHost): (host: string) => boolean {
  const names = new Set([defaultManagementHost, fedManagementHost, nameOf(own)]);
  const shortest = Math.min(...[...names].map(({ length }) => length));
  // Nearly every host is another, and shorter.
  return host => host.length >= shortest && names.has(nameOf(host));
}

export const isManagementHost = managementHostTest();

/** In lower case, without port and the root's dot: what any reader might make of the header. */
function nameOf(host: string): string {
  return host
    .trim()
    .toLowerCase()
    .replace(/[:/].*$/, '')
    .replace(/\.+$/, '');
}
