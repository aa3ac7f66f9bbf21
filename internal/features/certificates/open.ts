// Certificates as a feature of an edge: an authority's question over HTTP is answered before routing, and the API and the metrics
// tell what there is. How certificates are had is internal/certificates/acme.

import { X509Certificate } from 'node:crypto';
import type { AutomaticCertificates } from '../../certificates/acme/automatic-certificates.ts';
import type { Certificates } from '../../certificates/open-certificates.ts';
import { formatTime } from '../../control-plane/handler-context.ts';
import { type ServedCall, serveTable } from '../../control-plane/served-call.ts';
import type { ApiCertificate } from '../../schema/api/certificate.ts';
import type { CertificateRecord } from '../../store/contract/records.ts';
import { counter, gauge, type MetricFamily } from '../../telemetry/metrics.ts';
import type { VisitorStep } from '../../visitors/visitor.ts';

export interface CertificateParts {
  readonly certificates: Pick<Certificates, 'tls' | 'visitorTls'>;
  /** Undefined = no authority is asked. */
  readonly automatic: AutomaticCertificates | undefined;
  /** Whose the edge's own certificates are. */
  readonly operator: string;
  readonly now?: () => number;
}

export interface CertificateFeature extends AsyncDisposable {
  readonly steps: readonly VisitorStep[];
  readonly api: readonly ServedCall[];
  readonly metrics: readonly MetricFamily[];
}

/** Opens nothing that must be closed. */
export function openCertificateFeature(parts: CertificateParts): CertificateFeature {
  const { automatic } = parts;
  return {
    steps: automatic === undefined ? [] : [answerChallenges(automatic)],
    api: serveTable({
      async listCertificates(_call, { accountTag }) {
        const own = accountTag === parts.operator ? ownCertificates(parts) : [];
        const asked = automatic?.list() ?? [];
        // Whose the name is now: it may have been another's when the certificate was asked for.
        const mine = asked.filter(({ accountTag: asker, name }) => (automatic?.ownerOf(name) ?? asker) === accountTag);
        return [...own, ...mine.map(showRecord)];
      },
    }),
    metrics: automatic === undefined ? [] : metricsOf(automatic, parts.now ?? Date.now),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A token that is not ours passes: a connector may ask for certificates by itself. */
function answerChallenges({ answers }: AutomaticCertificates): VisitorStep {
  return (request, response, next) => {
    const text = request.method === 'GET' ? answers.httpAnswer(request.path, request.host) : undefined;
    if (text === undefined) return next(request, response);
    const body = Buffer.from(text);
    const headers = ['Content-Type', 'application/octet-stream', 'Content-Length', String(body.length)];
    const target = response.start(200, headers, { hasBody: true });
    target?.write(body);
    target?.end([]);
  };
}

function ownCertificates({ certificates }: CertificateParts): ApiCertificate[] {
  return [...new Set([certificates.visitorTls.cert, certificates.tls.cert])].map(chain => ({
    ...showChain(chain),
    source: 'edge',
    ...{ last_attempt_on: null, next_attempt_on: null, failures: 0, problem: null },
  }));
}

function showRecord(record: CertificateRecord): ApiCertificate {
  const { attemptedAtMs, failures, issued, name, nextAtMs, problem } = record;
  const shown =
    issued === undefined ? { names: [name], issuer: null, issued_on: null, expires_on: null } : showChain(issued.chain);
  return {
    ...shown,
    source: 'authority',
    last_attempt_on: formatTime(attemptedAtMs),
    next_attempt_on: formatTime(nextAtMs),
    failures,
    problem: problem ?? null,
  };
}

function showChain(chain: string): Pick<ApiCertificate, 'names' | 'issuer' | 'issued_on' | 'expires_on'> {
  const { issuer, subjectAltName = '', validFromDate, validToDate } = new X509Certificate(chain);
  return {
    names: subjectAltName.split(', ').map(part => part.replace(/^(DNS|IP Address):/, '')),
    issuer: /^CN=(.+)$/m.exec(issuer)?.[1] ?? issuer.replaceAll('\n', ', '),
    issued_on: formatTime(validFromDate.getTime()),
    expires_on: formatTime(validToDate.getTime()),
  };
}

function metricsOf(automatic: AutomaticCertificates, now: () => number): MetricFamily[] {
  const { counters } = automatic;
  const endsOf = (): number[] =>
    automatic
      .list()
      .flatMap(({ name, issued }) =>
        issued === undefined || automatic.ownerOf(name) === undefined ? [] : [issued.expiresAtMs],
      );
  return [
    gauge('postern_public_certificates', 'Certificates of names that are routed, by state', ['state'], () => {
      const list = automatic.list().filter(({ name }) => automatic.ownerOf(name) !== undefined);
      const count = (state: string): number => list.filter(record => stateOf(record, now()) === state).length;
      return ['valid', 'failing', 'missing'].map(state => [{ state }, count(state)] as const);
    }),
    gauge(
      'postern_public_certificate_first_expiry_timestamp_seconds',
      'When the first certificate of a routed name ends; absent while there is none',
      [],
      () => {
        const ends = endsOf();
        return ends.length === 0 ? [] : [[{}, ends.reduce((a, b) => Math.min(a, b)) / 1_000]];
      },
    ),
    counter('postern_certificate_orders_total', 'Orders at the authority, by how they ended', ['result'], () => [
      [{ result: 'issued' }, counters.issued],
      [{ result: 'failed' }, counters.failed],
    ]),
    counter(
      'postern_certificate_orders_refused_total',
      'Handshakes for which no certificate was asked, by reason',
      ['reason'],
      () => Object.entries(counters.refused).map(([reason, count]) => [{ reason }, count] as const),
    ),
  ];
}

/** `failing`: it still serves, and renewing fails. */
function stateOf({ failures, issued }: CertificateRecord, nowMs: number): 'valid' | 'failing' | 'missing' {
  if (issued === undefined || issued.expiresAtMs <= nowMs) return 'missing';
  return failures > 0 ? 'failing' : 'valid';
}
