// Public HTTP as a whole: the visitors' listeners, the steps that see each request, and its way to a connector.
//
//   listener ─▶ step 1 ─▶ step 2 ─▶ … ─▶ forward ─▶ a connector's connection

import type { ConnectorRegistry } from '../../carriers/connector-registry.ts';
import type { Certificates } from '../../certificates/open-certificates.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { BeginChoice } from '../choice.ts';
import { createErrorPage } from '../error-page.ts';
import { forward } from '../forward.ts';
import { type VisitorTimeouts, visitorTimeouts } from '../limits.ts';
import type { VisitorLimits } from '../places.ts';
import type { ErrorPage } from '../problem.ts';
import type { HostnameTable } from '../routing/hostname-table.ts';
import { UploadWatch } from '../upload-watch.ts';
import type { HandleVisitor, VisitorStep } from '../visitor.ts';
import { openPublicServer, type Passthrough, type SharedPort } from './server.ts';

export interface VisitorsOptions {
  readonly host: string;
  /** 0 = any free port; undefined = no such listener. */
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly certificates: Certificates;
  readonly hostnames: HostnameTable<BeginChoice>;
  readonly registry: ConnectorRegistry;
  readonly logger: Logger;
  /** Default: `visitorTimeouts`. */
  readonly timeouts?: VisitorTimeouts | undefined;
  /** Default: `visitorLimits`. */
  readonly limits?: VisitorLimits | undefined;
  /** See `ForwardOptions`. */
  readonly returnWaitMs?: number | undefined;
  readonly answerTimeoutMs?: number | undefined;
  /** What browsers are shown of failed requests. Default: the built-in page. */
  readonly errorPage?: ErrorPage | undefined;
  /** See PublicServerOptions. */
  readonly connectors?: SharedPort | undefined;
}

/** Its disposal cuts what runs. */
export interface Visitors extends AsyncDisposable {
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  /** Sets the steps, outermost first; until then requests wait. Call once. */
  serve(steps: readonly VisitorStep[]): void;
  /** See PublicServer. */
  passThrough(choose: Passthrough): void;
  /** From now on browsers are shown this page of failed requests. */
  showErrorsWith(page: ErrorPage): void;
  /** What visitors type: HTTP where it is listened for, since its certificate needs no trust. */
  urlOf(hostname: string): string;
  /** The same over HTTPS where it is listened for: for secrets. */
  secureUrlOf(hostname: string): string;
  /** Accepts no more connections, finishes running requests (at most `timeoutMs`), then closes. */
  drain(timeoutMs: number): Promise<void>;
}

/** Listens. Throws 'listen.failed'. */
export async function openVisitors(options: VisitorsOptions): Promise<Visitors> {
  const { hostnames, registry, logger, returnWaitMs, answerTimeoutMs, timeouts = visitorTimeouts } = options;
  const uploads = new UploadWatch(timeouts.stallMs, timeouts.heldMs);
  let errorPage = options.errorPage ?? createErrorPage();
  const forwarding = {
    ...{ hostnames, registry, logger, returnWaitMs, answerTimeoutMs, timeouts, uploads },
    get errorPage() {
      return errorPage;
    },
  };
  const ready = Promise.withResolvers<HandleVisitor>();
  let handle: HandleVisitor = (request, response) => void ready.promise.then(served => served(request, response));
  const server = await openPublicServer({
    ...options,
    timeouts,
    handle: (request, response) => handle(request, response),
  });
  const { httpPort, httpsPort } = server;
  return {
    httpPort,
    httpsPort,
    serve: steps => {
      handle = joinSteps(steps, (request, response) => void forward(request, response, forwarding));
      ready.resolve(handle);
    },
    passThrough: choose => server.passThrough(choose),
    showErrorsWith: page => {
      errorPage = page;
    },
    urlOf: hostname => (httpPort === undefined ? httpsUrl(hostname, httpsPort) : httpUrl(hostname, httpPort)),
    secureUrlOf: hostname => (httpsPort === undefined ? httpUrl(hostname, httpPort) : httpsUrl(hostname, httpsPort)),
    drain: timeoutMs => server.drain(timeoutMs),
    [Symbol.asyncDispose]: () => server.drain(0),
  };
}

function httpUrl(hostname: string, port: number | undefined): string {
  return `http://${hostname}${port === 80 ? '' : `:${port}`}`;
}

function httpsUrl(hostname: string, port: number | undefined): string {
  return `https://${hostname}${port === 443 ? '' : `:${port}`}`;
}

/** One handler of all steps, each with the rest as its `next`: made once, so that a request costs one call a step. */
export function joinSteps(steps: readonly VisitorStep[], last: HandleVisitor): HandleVisitor {
  return steps.reduceRight<HandleVisitor>((next, step) => (request, response) => step(request, response, next), last);
}
