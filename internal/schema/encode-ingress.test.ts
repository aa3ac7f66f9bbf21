import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFullIngressJson, encodeIngressJson, encodeLocalConfiguration } from './encode-ingress.ts';
import { parseRemoteConfig } from './remote-config.ts';

const recorded =
  '"ingress":[{"hostname":"down.example.com","service":"http://127.0.0.1:1","originRequest":{}},' +
  '{"hostname":"status.example.com","service":"http_status:418","originRequest":{}},' +
  '{"hostname":"ws.example.com","service":"http://127.0.0.1:9005","originRequest":{}},' +
  '{"hostname":"tcp.example.com","service":"tcp://127.0.0.1:9002","originRequest":{}},' +
  '{"service":"http://127.0.0.1:9001","originRequest":{}}],"warp-routing":{}}';

describe('ingress JSON', () => {
  it('writes the local configuration as recorded', () => {
    const config = parseRemoteConfig(`{${recorded}`);
    const flags = { loglevel: 'debug', metrics: '127.0.0.1:9003', 'no-autoupdate': 'true', protocol: 'quic' };
    assert.equal(
      encodeLocalConfiguration(config, flags),
      `{"__configuration_flags":{"loglevel":"debug","metrics":"127.0.0.1:9003","no-autoupdate":"true","protocol":"quic"},${recorded}`,
    );
  });

  it('leaves out defaults in the short form, and what it writes parses back to the same configuration', () => {
    const document = {
      ingress: [
        {
          hostname: 'app.example.com',
          path: '^/x',
          service: 'https://localhost:8443',
          originRequest: { connectTimeout: 10, noTLSVerify: true, access: { required: true, teamName: 't' } },
        },
        {
          service: 'socks-proxy',
          originRequest: { ipRules: [{ prefix: '10.0.0.0/8', ports: [80], allow: true }], proxyPort: 3 },
        },
      ],
      'warp-routing': { connectTimeout: 7 },
    };
    const config = parseRemoteConfig(document);
    assert.deepEqual(encodeIngressJson(config), {
      ...document,
      ingress: [
        {
          ...document.ingress[0],
          originRequest: {
            connectTimeout: 10,
            noTLSVerify: true,
            access: { required: true, teamName: 't', audTag: [], environment: '' },
          },
        },
        document.ingress[1],
      ],
    });
    assert.deepEqual(parseRemoteConfig(encodeIngressJson(config)), config);
  });

  it('writes every field in the long form, with top-level settings merged in', () => {
    const config = parseRemoteConfig({
      originRequest: { connectTimeout: 10, access: { required: true, teamName: 'team', audTag: ['a'] } },
      ingress: [
        { hostname: 'a.example.com', service: 'ssh://host', originRequest: { access: { required: true } } },
        { service: 'http_status:404', originRequest: { keepAliveTimeout: 5 } },
      ],
    });
    const full = encodeFullIngressJson(config) as {
      ingress: { hostname: string; path: unknown; service: string; Handlers: unknown; originRequest: object }[];
      originRequest: object;
    };
    const [first, second] = full.ingress;
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(first.service, 'ssh://host:22');
    assert.equal(first.path, null);
    assert.deepEqual(first.Handlers, ['AccessJWTValidator']);
    assert.equal(second.Handlers, null);
    assert.deepEqual(full.originRequest, {
      ...second.originRequest,
      keepAliveTimeout: 90,
    });
    assert.deepEqual(Object.keys(second.originRequest).length, 19);
  });
});
