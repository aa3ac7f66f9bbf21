// Checks of the way to the edge beside a connector that starts: they say why no connection comes, and never delay one.
// Source: docs/protocol/edge-protocol.md §13.3.

import { randomUUID } from 'node:crypto';
import { createTrust, type EdgeSettings } from '../../internal/connector/edge-access.ts';
import type { CheckReport } from '../../internal/connector/prechecks/report.ts';
import type { Tunnel, TunnelOptions } from '../../internal/connector/tunnel.ts';
import { describeError } from '../../internal/errors/error.ts';
import { systemClock } from '../../internal/net/time/clock.ts';
import type { Logger } from '../../internal/telemetry/logger.ts';
import type { Protocol } from '../../internal/transport/transport.ts';

/** Until then the connector has the machine for itself: one that comes up has registered, another has told of its first failure. */
const delayMs = 3_000;

/**
 * Checks after the first registration or a moment, and logs when a check fails: the table, unless the log is `json`, and a line for each
 * check. A `protocol` that was chosen is the only one that is tried. The returned function calls it off.
 */
export function checkBeside(
  tunnel: Tunnel,
  options: TunnelOptions,
  { json, protocol }: { readonly json: boolean; readonly protocol: Protocol | undefined },
): () => void {
  const { edge, logger, rollout } = options;
  const ended = new AbortController();
  const check = async (): Promise<void> => {
    if (rollout?.skipPrechecks === true) return;
    const report = await checkWay(edge, protocol, logger);
    const hasFailed = report.checks.some(({ status }) => status === 'fail');
    if (ended.signal.aborted || !hasFailed) return;
    if (!json) {
      const { formatChecks } = await import('../../internal/connector/prechecks/report.ts');
      for (const line of formatChecks(report)) logger.warn(line);
    }
    logChecks(report, logger);
  };
  const begin = (): void => {
    callOff();
    check().catch((error: unknown) => logger.debug({ error: describeError(error) }, 'The checks at start failed'));
  };
  const timer = setTimeout(begin, delayMs).unref();
  tunnel.connector.once('connected', begin);
  const callOff = (): void => {
    clearTimeout(timer);
    tunnel.connector.off('connected', begin);
  };
  return () => {
    ended.abort();
    callOff();
  };
}

/** The checks of the way to `edge`, loaded only now: a start needs its memory and time for itself. */
export async function checkWay(
  edge: EdgeSettings,
  protocol: Protocol | undefined,
  logger: Logger,
): Promise<CheckReport> {
  const [{ checkEdge }, { concludeChecks }] = await Promise.all([
    import('../../internal/connector/prechecks/edge-checks.ts'),
    import('../../internal/connector/prechecks/report.ts'),
  ]);
  const trust = createTrust(edge, systemClock, logger);
  return concludeChecks(await checkEdge({ edge, trust, protocol }));
}

/** The words and fields of the stock connector. */
function logChecks({ checks, hardFail, suggestedProtocol }: CheckReport, logger: Logger): void {
  const run_id = randomUUID();
  for (const { component, target, status, details } of checks)
    logger.warn({ run_id, component, target, status, details }, 'precheck');
  logger.warn({ run_id, hard_fail: hardFail, suggested_protocol: suggestedProtocol }, 'precheck complete');
}
