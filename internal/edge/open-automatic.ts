// Public certificates of an edge: the ways by which it proves its names, and which names may have one of their own.

import { AutomaticCertificates, type AutomaticOptions } from '../certificates/acme/automatic-certificates.ts';
import type { ChallengeAnswers } from '../certificates/acme/challenge-answers.ts';
import { ChallengeDns } from '../certificates/acme/challenge-dns.ts';
import { createHookSolver } from '../certificates/acme/hook-dns.ts';
import type { Solver } from '../certificates/acme/request-certificate.ts';
import type { LocalAccounts } from '../control-plane/accounts.ts';
import { PosternError } from '../errors/error.ts';
import type { HostnameTable } from '../visitors/routing/hostname-table.ts';
import { openChallengeDns } from './challenge-dns-listener.ts';
import type { EdgeOptions } from './options.ts';

export interface Automatic {
  readonly certificates: AutomaticCertificates;
  /** Where the edge answers as a name server. */
  readonly dnsPort: number | undefined;
  /** Begins to ask the authority. `ownHost`: a name that the edge itself serves. */
  start(hostnames: HostnameTable, accounts: LocalAccounts, ownHost: string): void;
}

/**
 * Undefined when no authority is asked; `opened` closes it. Throws 'config.invalid' when own files are given too, and
 * 'listen.failed'.
 */
export async function openAutomatic(
  { acme, certFile, domain, httpPort, logger, names }: EdgeOptions,
  parts: Pick<AutomaticOptions, 'store' | 'secrets'>,
  opened: AsyncDisposableStack,
): Promise<Automatic | undefined> {
  if (acme === undefined) return undefined;
  if (certFile !== undefined)
    throw new PosternError(
      'config.invalid',
      'A certificate file and an authority exclude each other: give one of both',
    );
  const dns = acme.dns && new ChallengeDns(domain, names[0] ?? domain);
  const listener = acme.dns && dns && opened.use(await openChallengeDns(acme.dns, dns, logger));
  // The domain itself may lead elsewhere, so its own name server comes first.
  const solvers = ({ http, tls }: ChallengeAnswers): readonly Solver[] => [
    ...(dns === undefined ? [] : [dns]),
    ...(acme.dnsHook === undefined ? [] : [createHookSolver(acme.dnsHook, domain)]),
    ...(httpPort === undefined ? [] : [http]),
    tls,
  ];
  const certificates = opened.use(await AutomaticCertificates.open({ ...acme, ...parts, domain, logger, solvers }));
  return {
    certificates,
    dnsPort: listener?.port,
    start: (hostnames, { local, quick }, ownHost) =>
      certificates.start({
        ownerOf: name => (name === ownHost ? local.tag : ownerOf(name, hostnames, quick.tag)),
        operator: local.tag,
      }),
  };
}

/**
 * A name below a wildcard route could be invented, a quick tunnel is gone before its certificate is of use, and what is passed
 * through unopened shows a certificate of its own.
 */
function ownerOf(name: string, hostnames: HostnameTable, quickTag: string): string | undefined {
  if (hostnames.routed(name) !== 'name') return undefined;
  const route = hostnames.routeOf(name);
  if (route === undefined || route.accountTag === quickTag) return undefined;
  const { tls = 'terminate' } = route.tunnelId === undefined ? {} : route;
  return tls === 'terminate' ? route.accountTag : undefined;
}
