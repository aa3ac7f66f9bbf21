// Under which heading `--help-all` lists a flag, and which flags `--help` leaves out of a long list: what nearly everybody
// needs fits a screen.

/** Heading → flags in the order in which they are listed. A test holds it to the tables of flags. */
export const helpTopics: Readonly<Record<string, readonly string[]>> = {
  'What is published:': [
    ...['url', 'hello-world', 'unix-socket', 'bastion', 'socks5', 'http-host-header', 'no-chunked-encoding'],
    ...['http2-origin', 'origin-server-name', 'origin-ca-pool', 'no-tls-verify', 'proxy-connect-timeout'],
    ...['proxy-tls-timeout', 'proxy-tcp-keepalive', 'proxy-no-happy-eyeballs', 'proxy-keepalive-connections'],
    ...['proxy-keepalive-timeout', 'tag'],
  ],
  'Credentials and the API:': [
    ...['token', 'token-file', 'credentials-file', 'credentials-contents', 'credential-store', 'origincert', 'api-url'],
    ...['profile', 'quick-service'],
  ],
  'The way to the edge:': [
    ...['protocol', 'edge', 'region', 'edge-ip-version', 'edge-bind-address', 'cacert', 'post-quantum'],
    ...['edge-proxy', 'edge-proxy-auth-file', 'ha-connections', 'retries', 'features', 'no-prechecks'],
  ],
  'Private networks:': ['max-active-flows', 'dns-resolver-addrs', 'allow-destination', 'icmpv4-src', 'icmpv6-src'],
  'Files, logs and metrics:': [
    ...['config', 'loglevel', 'transport-loglevel', 'logfile', 'log-directory', 'log-format', 'output', 'access-log'],
    ...['metrics', 'management-diagnostics', 'label', 'pidfile', 'grace-period', 'autoupdate-freq', 'no-autoupdate'],
  ],
};

export const otherTopic = 'Options:';

export function topicOf(flag: string): string {
  return Object.entries(helpTopics).find(([, flags]) => flags.includes(flag))?.[0] ?? otherTopic;
}
