// What checks of the way to the edge found, and the table of them that a stock connector prints. Source:
// docs/protocol/edge-protocol.md §13.3.

export type CheckStatus = 'pass' | 'fail' | 'skip';

export interface Check {
  readonly component: string;
  /** What was checked: a `host:port`, a file, a setting of the system. */
  readonly target: string;
  readonly status: CheckStatus;
  readonly details: string;
  /** What to do; given where `status` is `fail`. */
  readonly remedy?: string | undefined;
  /** Whether a tunnel can run in spite of a failure. */
  readonly isHard: boolean;
}

export interface CheckReport {
  readonly checks: readonly Check[];
  /** No tunnel can run: no name resolves, or neither transport passes. */
  readonly hardFail: boolean;
  /** What passes: QUIC where it does, else HTTP/2. Undefined where neither does, or nothing was dialled. */
  readonly suggestedProtocol: 'quic' | 'http2' | undefined;
}

export const udpComponent = 'UDP Connectivity';
export const mtuComponent = 'Path MTU';
export const tcpComponent = 'TCP Connectivity';
export const tlsComponent = 'TLS and Trust';

/** Draws the conclusions. Both transports must fail, for every target, before no tunnel can run. */
export function concludeChecks(checks: readonly Check[]): CheckReport {
  const passes = (component: string): boolean =>
    checks.some(check => check.component === component && check.status === 'pass');
  const tried = checks.some(({ component, status }) => component === tcpComponent && status !== 'skip');
  const quic = passes(udpComponent);
  const http2 = passes(tcpComponent) && passes(tlsComponent);
  return {
    checks,
    hardFail: checks.some(({ isHard, status }) => isHard && status === 'fail') || (tried && !quic && !http2),
    suggestedProtocol: quic ? 'quic' : http2 ? 'http2' : undefined,
  };
}

const title = 'CONNECTIVITY PRE-CHECKS';

/** The lines of the table, without newlines: a frame, the checks, what to do, and a summary. */
export function formatChecks(report: CheckReport, heading: string = title): readonly string[] {
  const { checks, hardFail } = report;
  const cells = [
    ['COMPONENT', 'TARGET', 'STATUS', 'DETAILS'],
    ...checks.map(({ component, target, status, details }) => [component, target, status.toUpperCase(), details]),
  ];
  const widths = [0, 1, 2].map(column => Math.max(...cells.map(row => row[column]?.length ?? 0)));
  const rows = cells.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  const remedies = new Set(
    checks.flatMap(({ remedy, status }) =>
      remedy === undefined || status !== 'fail' ? [] : [`${hardFail ? 'ERROR' : 'WARNING'}: ${remedy}`],
    ),
  );
  const lines = [...rows, ...remedies, '', `SUMMARY: ${summaryOf(report)}`];
  const width = Math.max(...lines.map(line => line.length), heading.length) + 4;
  const frame = `+${'-'.repeat(width)}+`;
  const left = ' '.repeat(Math.floor((width - heading.length) / 2));
  const framed = (line: string): string => `|${line.padEnd(width)}|`;
  return [frame, framed(left + heading), frame, ...lines.map(line => framed(`  ${line}`)), frame];
}

function summaryOf({ checks, hardFail }: CheckReport): string {
  if (hardFail) return 'Environment has critical failures. A tunnel may not be able to run.';
  const failed = checks.filter(({ status }) => status === 'fail').length;
  if (failed > 0) return 'Environment has problems, but a tunnel can run.';
  const dialled = checks.some(({ component }) => component === tcpComponent);
  return dialled ? 'Environment is healthy.' : 'No edge was checked.';
}
