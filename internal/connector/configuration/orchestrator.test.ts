import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PosternError } from '../../errors/error.ts';
import type { IngressConfig } from '../../schema/ingress-rule.ts';
import { parseRemoteConfig } from '../../schema/remote-config.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { Orchestrator, type OrchestratorOptions } from './orchestrator.ts';

const services = (config: IngressConfig | undefined): string[] => config?.rules.map(rule => rule.service.text) ?? [];
const push = (status: number): string => JSON.stringify({ ingress: [{ service: `http_status:${status}` }] });

function create(options: Partial<OrchestratorOptions> = {}) {
  const proxy = {
    config: parseRemoteConfig(push(200)) as IngressConfig | undefined,
    gate: Promise.resolve(),
    async swap(config: IngressConfig): Promise<void> {
      await this.gate;
      this.config = config;
    },
  };
  const orchestrator = new Orchestrator({
    proxy,
    check: () => Promise.resolve(),
    maxActiveFlows: undefined,
    logger: silentLogger(),
    ...options,
  });
  return { orchestrator, proxy };
}

describe('orchestrator', () => {
  it('starts at -1 and applies only higher versions', async () => {
    const { orchestrator, proxy } = create();
    assert.equal(orchestrator.version, -1);
    assert.deepEqual(await orchestrator.update(0, push(201)), { version: 0, error: undefined });
    assert.deepEqual(await orchestrator.update(7, push(202)), { version: 7, error: undefined });
    assert.deepEqual(await orchestrator.update(7, push(203)), { version: 7, error: undefined });
    assert.deepEqual(await orchestrator.update(3, 'not even JSON'), { version: 7, error: undefined });
    assert.deepEqual(services(proxy.config), ['http_status:202']);
  });

  it('keeps the active configuration when the new one is invalid', async () => {
    const { orchestrator, proxy } = create();
    await orchestrator.update(1, push(201));
    for (const bad of [
      '',
      '{',
      '[]',
      '{"ingress":[{"service":"no service"}]}',
      '{"ingress":[{"hostname":"a.b","service":"http_status:200"}]}',
      `{"x":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`,
    ]) {
      const { version, error } = await orchestrator.update(2, bad);
      assert.equal(version, 1);
      assert.equal(error?.code, 'config.invalid');
    }
    assert.deepEqual(services(proxy.config), ['http_status:201']);
    assert.equal((await orchestrator.update(2, push(204))).version, 2);
  });

  it('keeps it when the proxy or the check refuses', async () => {
    const refuse = (): Promise<void> => Promise.reject(new PosternError('config.invalid', 'own endpoint'));
    const checked = create({ check: refuse });
    assert.equal((await checked.orchestrator.update(1, push(201))).error?.message, 'own endpoint');
    assert.deepEqual(services(checked.proxy.config), ['http_status:200']);
    const { orchestrator, proxy } = create();
    proxy.swap = () => Promise.reject(new Error('broken'));
    const { version, error } = await orchestrator.update(1, push(201));
    assert.equal(version, -1);
    assert.equal(error?.code, 'internal');
  });

  it('applies updates of several connections one after the other', async () => {
    const { orchestrator, proxy } = create();
    const results = await Promise.all([
      orchestrator.update(1, push(201)),
      orchestrator.update(2, push(202)),
      orchestrator.update(2, push(203)),
    ]);
    assert.deepEqual(
      results.map(result => result.version),
      [1, 2, 2],
    );
    assert.deepEqual(services(proxy.config), ['http_status:202']);
  });

  it('refuses a flood while one update is being applied', async () => {
    const { orchestrator, proxy } = create();
    const { promise, resolve } = Promise.withResolvers<void>();
    proxy.gate = promise;
    const updates = Array.from({ length: 20 }, (_, index) => orchestrator.update(index + 1, push(200)));
    resolve();
    const results = await Promise.all(updates);
    assert.equal(results.filter(result => result.error?.code === 'unavailable').length, 4);
    assert.equal(orchestrator.version, 16);
  });

  it('lets the local flow limit win over every update', async () => {
    const { orchestrator, proxy } = create({ maxActiveFlows: 5 });
    await orchestrator.update(1, '{"warp-routing":{"maxActiveFlows":100},"ingress":[{"service":"http_status:200"}]}');
    assert.equal(proxy.config?.warpRouting.maxActiveFlows, 5);
  });

  it('reloads the local configuration until the edge manages the tunnel', async () => {
    const { orchestrator, proxy } = create();
    assert.deepEqual(await orchestrator.replaceLocal(parseRemoteConfig(push(210))), { version: -1, error: undefined });
    assert.deepEqual(services(proxy.config), ['http_status:210']);
    await orchestrator.update(0, push(211));
    await orchestrator.replaceLocal(parseRemoteConfig(push(212)));
    assert.deepEqual(services(proxy.config), ['http_status:211']);
  });

  it('takes another flow limit at once, over the configuration of the edge too', async () => {
    const { orchestrator, proxy } = create({ maxActiveFlows: 5 });
    const local = parseRemoteConfig(push(210));
    await orchestrator.update(1, '{"warp-routing":{"maxActiveFlows":100},"ingress":[{"service":"http_status:200"}]}');
    await orchestrator.replaceLocal(local, { maxActiveFlows: 7 });
    assert.deepEqual([proxy.config?.warpRouting.maxActiveFlows, orchestrator.version], [7, 1]);
    await orchestrator.replaceLocal(local, { maxActiveFlows: undefined });
    // As the edge has it, once nothing here beats it.
    assert.equal(proxy.config?.warpRouting.maxActiveFlows, 100);
    const { swap } = proxy;
    proxy.swap = () => Promise.reject(new PosternError('config.invalid', 'no'));
    const refused = await orchestrator.replaceLocal(local, { maxActiveFlows: 9 });
    assert.equal(refused.error?.code, 'config.invalid');
    proxy.swap = swap;
    await orchestrator.update(2, '{"warp-routing":{"maxActiveFlows":8},"ingress":[{"service":"http_status:200"}]}');
    assert.equal(proxy.config?.warpRouting.maxActiveFlows, 8);
  });

  it('refuses updates while shutting down', async () => {
    const { orchestrator, proxy } = create();
    orchestrator.close();
    assert.equal((await orchestrator.update(1, push(201))).error?.code, 'unavailable');
    assert.deepEqual(services(proxy.config), ['http_status:200']);
  });
});
