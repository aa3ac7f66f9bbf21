import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Flag } from './flag.ts';
import { ignoredFlags } from './ignored-flags.ts';
import { describeSettings, resolveTunnelSettings, tunnelSettingFlags } from './tunnel-settings.ts';

describe('tunnel settings', () => {
  it('has typed defaults and is frozen', () => {
    const settings = resolveTunnelSettings({ flags: {}, env: {} });
    assert.equal(settings.gracePeriodMs, 30_000);
    assert.equal(settings.haConnections, 4);
    assert.equal(settings.edgeIpVersion, 'auto');
    assert.equal(settings.url, undefined);
    assert.equal(settings.maxActiveFlows, undefined);
    assert.equal(settings.noAutoupdate, false);
    assert.equal(settings.managementDiagnostics, true);
    assert.deepEqual(settings.edge, []);
    assert.deepEqual(settings.sources, {});
    assert.ok(Object.isFrozen(settings));
  });

  it('prefers the command line, then the environment, then the file', () => {
    const file = { retries: 1, loglevel: 'warn', 'grace-period': '2m', tag: ['f=1'], unknown: 1 };
    const env = { TUNNEL_RETRIES: '2', TUNNEL_LOGLEVEL: 'error', TUNNEL_EDGE: 'a:1, b:2' };
    const settings = resolveTunnelSettings({ flags: { retries: ['9', '3'] }, env, file });
    assert.equal(settings.retries, 3);
    assert.equal(settings.loglevel, 'error');
    assert.equal(settings.gracePeriodMs, 120_000);
    assert.deepEqual(settings.tag, ['f=1']);
    assert.deepEqual(settings.edge, ['a:1', 'b:2']);
    assert.deepEqual(settings.sources, {
      loglevel: 'env',
      edge: 'env',
      tag: 'file',
      retries: 'flag',
      'grace-period': 'file',
    });
  });

  it('takes what is empty for not given, whatever the source', () => {
    const settings = resolveTunnelSettings({
      flags: { logfile: [''], retries: [''] },
      env: { TUNNEL_METRICS: '', TUNNEL_LOGFILE: '', TUNNEL_EDGE_BIND_ADDRESS: '', TUNNEL_RETRIES: '4' },
      file: { protocol: '', 'edge-ip-version': '', logfile: 'from-the-file' },
    });
    assert.deepEqual(
      [settings.metrics, settings.edgeBindAddress, settings.protocol, settings.retries, settings.logfile],
      ['localhost:0', undefined, 'auto', 4, 'from-the-file'],
    );
  });

  it('knows variables without the usual prefix, aliases in the file, and lists given repeatedly', () => {
    const settings = resolveTunnelSettings({
      flags: { edge: ['a,b:1', 'c:2'] },
      env: { NO_TLS_VERIFY: 't', NO_AUTOUPDATE: '1' },
      file: { 'cred-file': '/x' },
    });
    assert.equal(settings.noTlsVerify, true);
    assert.equal(settings.noAutoupdate, true);
    assert.equal(settings.credentialsFile, '/x');
    assert.deepEqual(settings.edge, ['a,b:1', 'c:2']);
  });

  it('reports every fault at once, and never shows a secret', () => {
    const flags = {
      'edge-ip-version': ['5'],
      'edge-bind-address': ['nowhere'],
      'grace-period': ['5m'],
      'ha-connections': ['0'],
      tag: ['a=b', 'x'],
      protocol: ['spdy'],
      'dns-resolver-addrs': ['1.1.1.1:53', '1.1.1.1'],
      retries: ['1.5'],
    };
    assert.throws(() => resolveTunnelSettings({ flags, env: { TUNNEL_MAX_ACTIVE_FLOWS: 'x', NO_TLS_VERIFY: 'yes' } }), {
      code: 'usage.invalid',
      message: [
        'NO_TLS_VERIFY must be true or false, not "yes"',
        'invalid value for edge-ip-version: 5. Use one of 4, 6, auto (--edge-ip-version)',
        'invalid value for edge-bind-address: nowhere. Use an IP address (--edge-bind-address)',
        'Cannot parse tag value x. Write KEY=VALUE (--tag)',
        '--retries must be an integer, not "1.5"',
        'ha-connections must be at least 1, not 0 (--ha-connections)',
        'grace-period must be equal or less than 3m0s (--grace-period)',
        'Unknown protocol: spdy. Use one of auto, http2, quic (--protocol)',
        'TUNNEL_MAX_ACTIVE_FLOWS must be an integer, not "x"',
        'dns-resolver-addrs must be IP:PORT, not 1.1.1.1 (--dns-resolver-addrs)',
      ].join('\n'),
    });
    assert.throws(() => resolveTunnelSettings({ flags: {}, env: {}, file: { retries: 'x' } }), {
      code: 'config.invalid',
      message: 'expected int found string for retries (at retries)',
    });
  });

  it('describes what is set, secrets masked', () => {
    const settings = resolveTunnelSettings({
      flags: { token: ['very-secret'], 'grace-period': ['90s'], tag: ['a=b', 'c=d'] },
      env: { TUNNEL_CRED_CONTENTS: '{"TunnelSecret":"very-secret"}' },
    });
    assert.deepEqual(describeSettings(settings), {
      tag: 'a=b,c=d',
      'grace-period': '1m30s',
      'credentials-contents': '*****',
      token: '*****',
    });
  });

  it('names, aliases and variables are unique', () => {
    const flags: readonly Flag[] = [...tunnelSettingFlags, ...ignoredFlags];
    const names = flags.flatMap(flag => [flag.name, ...(flag.aliases ?? [])]);
    assert.deepEqual(
      names.filter((name, at) => names.indexOf(name) !== at),
      [],
    );
    const variables = flags.flatMap(flag => flag.env ?? []);
    assert.deepEqual(
      variables.filter((name, at) => variables.indexOf(name) !== at),
      [],
    );
  });
});
