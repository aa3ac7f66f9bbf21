// What running programs expose, read by Prometheus's own tool, and held against what the dashboards and alerts ask for.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { parse, stringify } from 'yaml';
import { connectorMetrics } from '../../internal/management/connector-metrics.ts';
import { exposedFamilies } from '../../internal/management/metric-exposition.ts';
import { openWorld } from '../support/edge-world.ts';
import { temporaryDirectory } from '../support/program.ts';
import { findPromtool, runPromtool } from '../support/promtool.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { until } from '../support/wait.ts';

const packaging = join(import.meta.dirname, '../../packaging');
const alertsFile = join(packaging, 'prometheus/alerts.yml');
/** What a scraper adds, what histograms have, and of the edge's listener itself. */
const addedLabels = ['instance', 'job', 'le', 'listener'];

interface Panel {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}
interface Rule {
  readonly alert: string;
  readonly expr: string;
}

/** Both programs at work, with every way into private networks that a metric speaks of. */
async function scrapeBoth(t: TestContext) {
  const ways = ['--socks', '127.0.0.1:0', '--socks-open', '--dns', 'default=127.0.0.1:0,resolver=10.0.0.53'];
  const world = await TunnelWorld.open(t, { edgeFlags: ['--metrics', '127.0.0.1:0', ...ways] });
  const connector = await world.connect({ protocol: 'quic' });
  await world.untilServed();
  const scrape = async (pattern: RegExp, program: { logged(pattern: RegExp): Promise<RegExpExecArray> }) => {
    const [, address] = await program.logged(pattern);
    return (await fetch(`http://${address}/metrics`)).text();
  };
  const ofEdge = () => scrape(/Serving metrics address=(\S+)/, world.edge);
  await until('the request to be counted', async () => /^postern_host_requests_total\{/m.test(await ofEdge()));
  return { edge: await ofEdge(), connector: await scrape(/Starting metrics server on (\S+)\/metrics/, connector) };
}

/** Names that may be asked for; those of families without samples count too. */
function namesOf(text: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [, name = '', kind] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm))
    for (const suffix of kind === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) names.add(name + suffix);
  return names;
}

/** Of all families; a scrape has only those of families with samples. */
async function allLabels(t: TestContext): Promise<ReadonlySet<string>> {
  const { world, connector } = await openWorld(t, 'http_status:204', {
    edge: { onRamps: { socks: { host: '127.0.0.1', port: 0, open: true }, dns: [] } },
  });
  const families = [
    ...exposedFamilies(connector.metrics.build, connectorMetrics(connector.metrics)),
    ...world.edge.features.flatMap(feature => feature.metrics ?? []),
  ];
  return new Set([...addedLabels, ...families.flatMap(({ labelNames }) => labelNames)]);
}

/** Names of metrics and of labels in an expression. */
function asksOf(expression: string) {
  const labels: string[] = [];
  const bare = expression
    .replace(/\{([^}]*)\}/g, (_, matchers: string) => {
      labels.push(...[...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label));
      return ' ';
    })
    .replace(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g, (_, list: string) => {
      labels.push(...list.split(',').map(label => label.trim()));
      return ' ';
    })
    .replace(/\[[^\]]*\]/g, ' ');
  const words = [...bare.matchAll(/[a-z_:][\w:]*(?!\w*\s*\()/gi)].map(([word]) => word);
  return { names: words.filter(word => word.includes('_') || !/^(?:and|or|unless)$/.test(word)), labels };
}

function dashboard(name: string) {
  const text = readFileSync(join(packaging, `grafana/${name}.json`), 'utf8');
  return JSON.parse(text) as { uid: string; panels: Panel[]; templating: { list: { query: unknown }[] } };
}

const expressionsOf = (name: string) =>
  dashboard(name).panels.flatMap(panel => panel.targets?.map(({ expr }) => expr) ?? []);
const rules = () =>
  (parse(readFileSync(alertsFile, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap(g => g.rules);

describe('metrics of running programs', () => {
  it('are text that Prometheus reads, and all that dashboards and alerts ask for', async t => {
    const texts = await scrapeBoth(t);
    await t.test('as Prometheus reads and names it', async parsing => {
      const promtool = await findPromtool(parsing);
      if (promtool === undefined) return;
      for (const [program, text] of Object.entries(texts)) {
        const { code, text: said } = await runPromtool(promtool, ['check', 'metrics'], text);
        // 3: parsed, with remarks about names; cloudflared's break the customs.
        assert.ok(code === 0 || code === 3, `${program}: ${said}`);
        assert.deepEqual(said.match(/^postern_.*/gm) ?? [], []);
      }
      const broken = await runPromtool(promtool, ['check', 'metrics'], 'no metric\n');
      assert.equal(broken.code, 1);
    });
    const [edge, connector] = [namesOf(texts.edge), namesOf(texts.connector)];
    const labels = await allLabels(t);
    const wrong: string[] = [];
    let seen = 0;
    const check = (expression: string, names: ReadonlySet<string>): void => {
      const asks = asksOf(expression);
      assert.notEqual(asks.names.length, 0, expression);
      seen += asks.names.length;
      for (const name of asks.names) if (!names.has(name)) wrong.push(`${name} in ${expression}`);
      for (const label of asks.labels) if (!labels.has(label)) wrong.push(`${label} in ${expression}`);
    };
    for (const expression of expressionsOf('connector')) check(expression, connector);
    for (const expression of expressionsOf('edge')) check(expression, edge);
    for (const { expr } of rules()) check(expr, new Set([...edge, ...connector]));
    assert.deepEqual(wrong, []);
    assert.ok(seen > 100, `only ${seen}`);
  });
});

describe('dashboards and alerts', () => {
  it('are expressions that Prometheus accepts', async t => {
    const promtool = await findPromtool(t);
    if (promtool === undefined) return;
    const { code, text } = await runPromtool(promtool, ['check', 'rules', '--lint-fatal', alertsFile]);
    assert.equal(code, 0, text);
    const asked = ['connector', 'edge'].flatMap(expressionsOf);
    const list = asked.map((expr, index) => ({
      record: `r${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/"\$\w+"/g, '".+"'),
    }));
    const file = join(await temporaryDirectory(t), 'rules.yml');
    await writeFile(file, stringify({ groups: [{ name: 'panels', rules: list }] }));
    const panels = await runPromtool(promtool, ['check', 'rules', file]);
    assert.equal(panels.code, 0, panels.text);
  });

  it('have panels that do not overlap, and a way to choose the data source', () => {
    for (const name of ['connector', 'edge']) {
      const { panels, templating, uid } = dashboard(name);
      assert.equal(uid, `postern-${name}`);
      assert.equal(templating.list[0]?.query, 'prometheus');
      const cells = new Set<string>();
      for (const { gridPos, title } of panels)
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
            assert.ok(x < 24 && !cells.has(`${x} ${y}`), title);
            cells.add(`${x} ${y}`);
          }
    }
  });

  it('alert when something is wrong, and not otherwise', async t => {
    const promtool = await findPromtool(t);
    if (promtool === undefined) return;
    const firing = (input: Record<string, string>, alerts: readonly string[]) => ({
      interval: '1m',
      input_series: Object.entries(input).map(([series, values]) => ({ series, values })),
      promql_expr_test: [
        {
          expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
          eval_time: '40m',
          exp_samples: alerts.map(alertname => ({ labels: `{alertname="${alertname}"}`, value: 1 })),
        },
      ],
    });
    const tunnel = 'cloudflared_tunnel';
    const of = (sick: boolean) => ({
      [`${tunnel}_ha_connections{instance="a"}`]: sick ? '4x20 0x40' : '4x60',
      [`${tunnel}_tunnel_register_success{instance="a"}`]: sick ? '0+2x60' : '4x60',
      [`${tunnel}_tunnel_register_fail{instance="a",error="server_error"}`]: sick ? '0+1x60' : '1x60',
      [`${tunnel}_host_requests_total{instance="a",host="h",status="2xx"}`]: '0+100x60',
      [`${tunnel}_host_request_errors_total{instance="a",host="h"}`]: sick ? '0+10x60' : '0x60',
      'postern_ready{instance="e"}': sick ? '0x60' : '1x60',
      'postern_connector_connections{instance="e"}': sick ? '0x60' : '4x60',
      'postern_host_requests_total{instance="e",host="h",status="2xx"}': '0+100x60',
      'postern_host_requests_total{instance="e",host="h",status="5xx"}': sick ? '0+50x60' : '0+1x60',
      'postern_host_request_errors_total{instance="e",host="h"}': sick ? '0+50x60' : '0+1x60',
      'postern_certificate_expiry_timestamp_seconds{instance="e",listener="visitors"}': sick
        ? '500000x60'
        : '9000000x60',
      'build_info{instance="a",type="postern"}': '1x60',
      'process_start_time_seconds{instance="a"}': sick ? '0+60x60' : '1x60',
      'process_open_fds{instance="a"}': sick ? '90x60' : '20x60',
      'process_max_fds{instance="a"}': '100x60',
      // Another program's, which is none of ours.
      'process_start_time_seconds{instance="other"}': '0+60x60',
    });
    const all = rules().map(({ alert }) => alert);
    const file = join(await temporaryDirectory(t), 'tests.yml');
    const tests = [firing(of(true), all), firing(of(false), [])];
    await writeFile(file, stringify({ rule_files: [alertsFile], evaluation_interval: '1m', tests }));
    const { code, text } = await runPromtool(promtool, ['test', 'rules', file]);
    assert.equal(code, 0, text);
  });
});
