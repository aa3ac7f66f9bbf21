import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfigFile } from '../../internal/config/file/config-file.ts';
import { localIngress } from '../../internal/config/file/local-ingress.ts';
import { resolveTunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { planReload, type ReloadState } from './reload-plan.ts';

const rules = 'ingress:\n  - service: http_status:404\n';

function state(text: string, flags: Readonly<Record<string, readonly string[]>> = {}): ReloadState {
  const file = parseConfigFile(text, 'config.yml');
  const settings = resolveTunnelSettings({ flags, env: {}, file: file.settings });
  return { settings, config: localIngress(settings, file).config };
}

describe('the plan of a reload', () => {
  it('is empty without changes, whatever changed beside settings and rules', () => {
    assert.deepEqual(planReload(state(rules), state(`# a comment\nunknown: 1\n${rules}`), false), []);
  });

  it('tells what takes effect now, and what with a restart', () => {
    const after = state(`loglevel: debug\nprotocol: http2\ntag: [a=b, c=d]\n${rules}`);
    assert.deepEqual(planReload(state(rules), after, false), [
      { setting: 'loglevel', before: 'info', after: 'debug', takesEffect: 'now' },
      { setting: 'tag', before: '', after: 'a=b,c=d', takesEffect: 'now' },
      { setting: 'protocol', before: 'auto', after: 'http2', takesEffect: 'restart' },
    ]);
  });

  it('masks secrets, and sees that they changed', () => {
    const [change] = planReload(state(`token: one\n${rules}`), state(`token: two\n${rules}`), false);
    const urls = planReload(state('url: http://u:one@a:1\n'), state('url: http://u:two@a:1\n'), false);
    assert.doesNotMatch(JSON.stringify(urls), /one|two/);
    assert.deepEqual(change, { setting: 'token', before: '*****', after: '*****', takesEffect: 'restart' });
  });

  it('follows flags, which beat the file', () => {
    const flags = { loglevel: ['warn'] };
    assert.deepEqual(planReload(state(rules, flags), state(`loglevel: debug\n${rules}`, flags), false), []);
  });

  it('has rules, those of flags too, unless the edge manages them', () => {
    const changed = 'ingress:\n  - service: http_status:503\n';
    assert.deepEqual(
      planReload(state(rules), state(changed), false).map(({ setting, takesEffect }) => [setting, takesEffect]),
      [['ingress', 'now']],
    );
    assert.deepEqual(
      planReload(state(rules), state(changed), true).map(({ takesEffect }) => takesEffect),
      ['never'],
    );
    assert.deepEqual(
      planReload(state('url: http://a:1\n'), state('url: http://b:2\n'), false).map(({ setting }) => setting),
      ['url', 'ingress'],
    );
  });
});
