// One health check of one endpoint, through its tunnel as a visitor's request would go: an HTTP request whose status and
// text are judged, or, for `tcp`, a connection to a private member and a word from a connector.

import { Duplex } from 'node:stream';
import type { Carrier } from '../../carriers/carrier.ts';
import type { ConnectorRegistry } from '../../carriers/connector-registry.ts';
import { describeError, isPosternError, PosternError } from '../../errors/error.ts';
import type { MonitorDocument } from '../../schema/api/load-balancing.ts';
import type { OutgoingStream } from '../../transport/transport.ts';
import type { Endpoint } from './endpoints.ts';
import type { CheckResult } from './health.ts';
import type { PrivateOrigin } from './private-origin.ts';

/** Of a body that is searched. */
const maxBodyBytes = 64 * 1024;
/** Connectors tell checks from visitors by how this begins. */
const userAgent = 'Mozilla/5.0 (compatible; Cloudflare-Traffic-Manager/1.0; Postern';

/** Whom and what one check is about. */
export interface CheckSubject {
  readonly registry: Pick<ConnectorRegistry, 'ask'>;
  readonly endpoint: Endpoint;
  readonly carrier: Carrier;
  readonly monitor: MonitorDocument;
  readonly poolId: string;
  /** Asked for where neither monitor nor member names a host. */
  readonly host: string;
}

/** Checks once, and as often again as the monitor says while it fails. Never rejects. */
export async function check(subject: CheckSubject): Promise<CheckResult> {
  let result = await checkOnce(subject);
  for (let left = subject.monitor.retries; left > 0 && !result.ok; left -= 1) result = await checkOnce(subject);
  return result;
}

async function checkOnce(subject: CheckSubject): Promise<CheckResult> {
  const { monitor } = subject;
  const beganMs = performance.now();
  const rttMs = (): number => performance.now() - beganMs;
  try {
    const { reason, status } =
      monitor.type === 'tcp' ? await checkTcp(subject) : await checkHttp(subject, monitor.timeout * 1000);
    return { ok: reason === '', reason, status, rttMs: rttMs() };
  } catch (error) {
    return { ok: false, reason: describeError(error), status: 0, rttMs: rttMs() };
  }
}

interface Verdict {
  readonly reason: string;
  readonly status: number;
}

async function checkTcp({ carrier, endpoint, monitor }: CheckSubject): Promise<Verdict> {
  const timeoutMs = monitor.timeout * 1000;
  const { privateOrigin } = endpoint;
  if (privateOrigin !== undefined) await connectOnce(privateOrigin, monitor.port, timeoutMs);
  else await endpoint.connections.find(one => one.connection === carrier)?.connection.ping(timeoutMs);
  return { reason: '', status: 0 };
}

async function connectOnce(origin: PrivateOrigin, port: number, timeoutMs: number): Promise<void> {
  // Its end ends the attempt.
  const owner = new Duplex({ read: () => undefined });
  const timer = setTimeout(() => owner.destroy(), timeoutMs);
  try {
    const stream = await origin.open(owner, '', port === 0 ? undefined : port);
    stream.on('error', () => undefined);
    stream.destroy();
  } catch (error) {
    if (isPosternError(error, 'stream.aborted')) throw late(timeoutMs);
    throw error;
  } finally {
    clearTimeout(timer);
    owner.destroy();
  }
}

async function checkHttp(subject: CheckSubject, timeoutMs: number): Promise<Verdict> {
  const { endpoint, monitor, poolId, registry } = subject;
  const { privateOrigin } = endpoint;
  const carrier = privateOrigin !== undefined && monitor.port > 0 ? privateOrigin.at(monitor.port) : subject.carrier;
  let isLate = false;
  let stream: OutgoingStream | undefined;
  const timer = setTimeout(() => {
    isLate = true;
    stream?.reset();
  }, timeoutMs);
  try {
    stream = registry.ask(carrier, {
      kind: 'http',
      method: monitor.method,
      scheme: 'http',
      host: monitor.header.Host?.[0] ?? endpoint.member.host ?? (privateOrigin?.authority || subject.host),
      path: monitor.path,
      headers: ['User-Agent', `${userAgent}; pool-id: ${poolId})`, 'Accept', '*/*'],
      bodyLength: 0,
    });
    stream.body.on('error', () => undefined);
    const { status } = await stream.response;
    if (!isExpected(status, monitor.expected_codes))
      return { reason: `The answer has the status ${status}; expected is ${monitor.expected_codes}`, status };
    if (monitor.expected_body === '' || monitor.method === 'HEAD') return { reason: '', status };
    const holds = (await textOf(stream)).toLowerCase().includes(monitor.expected_body.toLowerCase());
    if (isLate) throw late(timeoutMs);
    return { reason: holds ? '' : `The answer does not hold ${JSON.stringify(monitor.expected_body)}`, status };
  } catch (error) {
    throw isLate ? late(timeoutMs) : error;
  } finally {
    clearTimeout(timer);
    stream?.reset();
  }
}

function late(timeoutMs: number): PosternError {
  return new PosternError('dial.timeout', `No answer within ${timeoutMs / 1000} s`);
}

/** What came of the body, at most `maxBodyBytes`. */
function textOf({ body }: OutgoingStream): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise(resolve => {
    const done = (): void => resolve(Buffer.concat(chunks).toString('utf8', 0, maxBodyBytes));
    body.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.byteLength;
      if (bytes >= maxBodyBytes) done();
    });
    body.once('end', done).once('close', done);
    if (body.destroyed) done();
  });
}

/** @param codes like `2xx`, `200-204`, `200,301` */
export function isExpected(status: number, codes: string): boolean {
  return codes.split(',').some(part => {
    const [first = '', last = first] = part.split('-');
    if (first.endsWith('xx')) return Math.floor(status / 100) === Number(first[0]);
    return status >= Number(first) && status <= Number(last);
  });
}
