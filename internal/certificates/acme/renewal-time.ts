// When a certificate is renewed, and when a failed attempt is repeated. Source: RFC 9773.

import { X509Certificate } from 'node:crypto';
import { AuthorityKeyIdentifierExtension, X509Certificate as ParsedCertificate } from '@peculiar/x509';
import type { AcmeClient } from './acme-client.ts';
import { renewalInfoSchema } from './documents.ts';

/** Thirds of the lifetime: the usual rule, which leaves a month of three to notice that renewing fails. */
const renewAfter = 2 / 3;
/** Share of the lifetime over which renewals are spread, so that certificates of one day do not come due together again. */
const spread = 0.05;
const minuteMs = 60_000;
/** Two, six, eighteen, fifty-four minutes and so on: five failures an hour of one name are what authorities allow. */
const firstRetryMs = 2 * minuteMs;
const retryGrowth = 3;
const longestRetryMs = 24 * 60 * minuteMs;
/** Without a word of the authority. RFC 9773 §4.3.3 has the bounds of what it may say. */
const defaultLookMs = 6 * 60 * minuteMs;
const shortestLookMs = minuteMs;
const longestLookMs = 24 * 60 * minuteMs;

/** First and last moment of the leaf of a chain. */
export function lifetimeOf(chain: string): { readonly fromMs: number; readonly untilMs: number } {
  const { validFromDate, validToDate } = new X509Certificate(chain);
  return { fromMs: validFromDate.getTime(), untilMs: validToDate.getTime() };
}

/** When to renew what the authority says nothing about. `random`: 0 to 1. */
export function defaultRenewalMs(issuedAtMs: number, expiresAtMs: number, random: () => number): number {
  const lifetimeMs = Math.max(0, expiresAtMs - issuedAtMs);
  return Math.round(issuedAtMs + lifetimeMs * (renewAfter - spread * random()));
}

/** How long to wait after the given number of failures in a row, from 1. An authority may ask for longer. */
export function retryDelayMs(failures: number, retryAfterMs: number | undefined, random: () => number): number {
  const grown = Math.min(longestRetryMs, firstRetryMs * retryGrowth ** Math.min(failures - 1, 10));
  return Math.round(Math.max(grown * (1 - 0.2 * random()), retryAfterMs ?? 0));
}

export interface RenewalWindow {
  readonly startMs: number;
  readonly endMs: number;
  /** How long what was said holds. */
  readonly lookAgainMs: number;
}

/** What the authority suggests; undefined when it has no such service. Throws 'certificate.failed'. */
export async function readRenewalWindow(client: AcmeClient, chain: string): Promise<RenewalWindow | undefined> {
  const { renewalInfo } = await client.directory();
  const id = renewalIdOf(chain);
  if (renewalInfo === undefined || id === undefined) return undefined;
  const { body, retryAfterMs = defaultLookMs } = await client.get(
    renewalInfoSchema,
    `${renewalInfo.replace(/\/$/, '')}/${id}`,
  );
  const [startMs, endMs] = [Date.parse(body.suggestedWindow.start), Date.parse(body.suggestedWindow.end)];
  // A window that ends before it starts says nothing.
  if (endMs < startMs) return undefined;
  return { startMs, endMs, lookAgainMs: Math.min(Math.max(retryAfterMs, shortestLookMs), longestLookMs) };
}

/** A moment within the window, the same chance for each. Source: RFC 9773 §4.2. */
export function momentWithin({ startMs, endMs }: RenewalWindow, random: () => number): number {
  return Math.round(startMs + (endMs - startMs) * random());
}

/** How the authority names a certificate: its issuer's key identifier and its serial number. Source: RFC 9773 §4.1. */
export function renewalIdOf(chain: string): string | undefined {
  const leaf = new ParsedCertificate(chain.slice(0, chain.indexOf('-----END CERTIFICATE-----') + 26));
  const keyId = leaf.getExtension(AuthorityKeyIdentifierExtension)?.keyId;
  if (keyId === undefined) return undefined;
  const serial = Buffer.from(
    leaf.serialNumber.padStart(leaf.serialNumber.length + (leaf.serialNumber.length % 2), '0'),
    'hex',
  );
  // As in DER: a first bit of one would make the number negative.
  const positive = ((serial[0] ?? 0) & 0x80) === 0 ? serial : Buffer.concat([Buffer.from([0]), serial]);
  return `${Buffer.from(keyId, 'hex').toString('base64url')}.${positive.toString('base64url')}`;
}
