// Logs a program in to an edge by the device flow: asks for codes, shows them, and asks for the token until a person has
// decided. Source: RFC 8628.

import { setTimeout as after } from 'node:timers/promises';
import type * as z from 'zod';
import { PosternError } from '../errors/error.ts';
import type { ForwardProxy } from '../net/proxy/forward-proxy.ts';
import {
  accessTokenSchema,
  type DeviceAuthorization,
  deviceAuthorizationSchema,
  oauthErrorSchema,
} from '../schema/api/login.ts';
import { exchangeJson, type JsonResponse, wasUnanswered } from './http-json.ts';

export interface LoginOptions {
  /** Scheme, host and port of the edge's API. */
  readonly origin: string;
  readonly userAgent: string;
  /** Of this machine, for the person who decides. */
  readonly clientName: string;
  readonly caPem?: string | undefined;
  readonly proxy?: ForwardProxy | undefined;
  /** Shows the person where to go, and with which code. */
  readonly show: (codes: DeviceAuthorization) => void;
  readonly signal: AbortSignal;
}

const clientId = 'postern';
const grantType = 'urn:ietf:params:oauth:grant-type:device_code';
const timeoutMs = 15_000;
/** RFC 8628 §3.5. */
const slowDownSeconds = 5;

/**
 * An API token. Throws 'api.unauthorized' when the person refused or the time ran out, 'api.rate-limited', 'api.failed' when
 * the edge cannot be reached or speaks something else; what the signal was aborted with.
 */
export async function logIn(options: LoginOptions): Promise<string> {
  const asked = await post(options, '/oauth/device_authorization', {
    client_id: clientId,
    client_name: options.clientName,
  });
  if (asked.status === 429)
    throw new PosternError('api.rate-limited', 'Too many logins are under way at the edge: try again in a minute');
  if (asked.status !== 200) throw unexpected(options, `status ${asked.status}`);
  const codes = parse(options, deviceAuthorizationSchema, asked);
  options.show(codes);
  let { interval } = codes;
  const deadline = performance.now() + codes.expires_in * 1000;
  while (performance.now() < deadline) {
    await after(interval * 1000, undefined, { signal: options.signal });
    const answer = await poll(options, codes.device_code);
    if (answer === undefined) continue;
    if (answer.status === 200) return parse(options, accessTokenSchema, answer).access_token;
    const { error } = parse(options, oauthErrorSchema, answer);
    if (error === 'slow_down') interval += slowDownSeconds;
    else if (error === 'access_denied') throw new PosternError('api.unauthorized', 'The login was refused');
    else if (error !== 'authorization_pending') break;
  }
  throw new PosternError('api.unauthorized', 'Nobody decided about the login in time: run the command again');
}

/** Undefined when there was no answer this time: RFC 8628 §3.5 lets the program ask again. */
async function poll(options: LoginOptions, deviceCode: string): Promise<JsonResponse | undefined> {
  try {
    const form = { grant_type: grantType, device_code: deviceCode, client_id: clientId };
    const answer = await post(options, '/oauth/token', form);
    return answer.status === 429 ? undefined : answer;
  } catch (error) {
    if (options.signal.aborted || !wasUnanswered(error)) throw error;
    return undefined;
  }
}

function post(options: LoginOptions, path: string, form: Readonly<Record<string, string>>): Promise<JsonResponse> {
  return exchangeJson({
    method: 'POST',
    url: `${options.origin}${path}`,
    headers: { 'User-Agent': options.userAgent, 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
    timeoutMs,
    signal: options.signal,
    caPem: options.caPem,
    proxy: options.proxy,
  });
}

function parse<Schema extends z.ZodType>(
  options: LoginOptions,
  schema: Schema,
  answer: JsonResponse,
): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(answer.text));
  } catch {
    // The parser's message can quote a token.
    throw unexpected(options, `an answer of another kind, status ${answer.status}`);
  }
}

function unexpected({ origin }: LoginOptions, what: string): PosternError {
  return new PosternError('api.failed', `${origin} does not let programs log in: it gave ${what}`);
}
