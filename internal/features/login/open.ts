// Logging in to an edge: the two calls of RFC 8628 for the program, and the page for the person, who shows a login code or an
// API token and presses a button. Nothing of a session is kept, and no page leads anywhere else.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { recordChange } from '../../control-plane/audit.ts';
import { refusalLimits } from '../../control-plane/authorization.ts';
import type { PageAnswer, PageRequest, ServedPage } from '../../control-plane/served-page.ts';
import { digestLoginCode } from '../../credentials/login-code.ts';
import { isPosternError } from '../../errors/error.ts';
import { createRateLimiter } from '../../net/limits/rate-limiter.ts';
import type { ApiTokenRecord } from '../../store/contract/records.ts';
import type { Store } from '../../store/contract/store.ts';
import { createApiToken, digestApiToken } from '../../store/secret-box.ts';
import { TokenCheck } from '../../store/token-check.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { printableLine } from '../../telemetry/printable.ts';
import { type Approval, type Grant, Grants, loginMs, pollSeconds } from './grants.ts';
import { type LoginForm, pageHeaders, renderEnd, renderForm } from './page.ts';

export interface LoginParts {
  readonly store: Store;
  readonly logger: Logger;
  readonly now?: (() => number) | undefined;
}

export interface Login extends AsyncDisposable {
  readonly pages: readonly ServedPage[];
}

const deviceGrantType = 'urn:ietf:params:oauth:grant-type:device_code';
const maxClientName = 64;

/** Opens nothing that must be closed. */
export function openLogin({ store, logger, now = Date.now }: LoginParts): Login {
  const grants = new Grants(now);
  const tokens = new TokenCheck({ store, now });
  const refusals = createRateLimiter({ ...refusalLimits, now });

  /** Whose the text is that a person showed. A login code is used up. */
  const approvalOf = async (text: string): Promise<Approval | 'device' | undefined> => {
    const token = await tokens.find(text);
    if (token !== undefined) {
      // It is for one machine, and would give another one a token that nobody sees by the device.
      if (token.deviceId !== undefined) return 'device';
      const { accountTag, userId, scopes, expiresAtMs, id } = token;
      return { accountTag, userId, scopes, expiresAtMs, tokenId: id, parent: token };
    }
    const digest = digestLoginCode(text);
    const taken = digest === undefined ? undefined : await store.users.takeLoginCode(digest, now());
    if (taken === undefined) return undefined;
    const { makerId, tokenExpiresAtMs, user } = taken;
    const { accountTag, id, scopes } = user;
    return { accountTag, userId: id, scopes, expiresAtMs: tokenExpiresAtMs, tokenId: makerId, parent: undefined };
  };

  const decide = async (request: PageRequest): Promise<PageAnswer> => {
    const { address, form } = request;
    const again = (status: number, problem: string, asking?: Grant): PageAnswer =>
      formPage(request, status, { userCode: form.get('user_code') ?? '', asking, problem });
    if (refusals.isEmpty(address)) return again(429, 'Too many wrong codes came from your address: wait a minute.');
    if (!isOwnForm(request))
      return again(403, 'This form has expired: try once more. Your browser must take its cookie.');
    const grant = grants.pending(form.get('user_code') ?? '');
    if (grant === undefined) {
      refusals.take(address);
      return again(400, 'No program waits with this code. Codes are good for ten minutes: start the login again.');
    }
    if (!grants.claim(grant)) return again(409, 'Somebody decides about this code at this moment.');
    let decision: Approval | 'device' | 'refused' | undefined;
    try {
      decision = form.get('decision') === 'refuse' ? 'refused' : await approvalOf((form.get('secret') ?? '').trim());
    } finally {
      grants.settle(grant, decision === 'device' ? undefined : decision);
    }
    if (decision === 'refused')
      return endPage('Refused', 'The program was told that it may not. You can close this page.');
    if (decision === 'device')
      return again(
        401,
        'That is the token of a device, which lets nobody log in: use an API token of your own.',
        grant,
      );
    if (decision !== undefined)
      return endPage('You are logged in', 'The program goes on by itself. You can close this page.');
    refusals.take(address);
    logger.warn({ src: address }, 'A login was refused: neither an API token nor a login code that is good');
    return again(
      401,
      'That is no API token and no login code of this edge, or one that was used, revoked or has expired.',
      grant,
    );
  };

  const show = async (request: PageRequest): Promise<PageAnswer> => {
    const { address, query } = request;
    const userCode = (query.get('user_code') ?? '').slice(0, 32);
    if (userCode === '') return formPage(request, 200, { userCode, asking: undefined, problem: undefined });
    // Whoever guesses codes learns no names of machines.
    const asking = refusals.isEmpty(address) ? undefined : grants.pending(userCode);
    if (asking === undefined) refusals.take(address);
    const problem =
      asking === undefined ? 'No program waits with this code. Compare it with what the program shows.' : undefined;
    return formPage(request, 200, { userCode: asking?.userCode ?? userCode, asking, problem });
  };

  const begin = async ({ address, form, host, secure }: PageRequest): Promise<PageAnswer> => {
    const clientName =
      printableLine(form.get('client_name') ?? '').slice(0, maxClientName) || 'a machine without a name';
    const grant = grants.begin(clientName, address);
    if (grant === undefined) return json(429, { error: 'temporarily_unavailable' });
    // As the program reached us: the person's browser may be elsewhere, and must not be led to another name.
    const origin = `${secure ? 'https' : 'http'}://${host}`;
    return json(200, {
      device_code: grant.deviceCode,
      user_code: grant.userCode,
      verification_uri: `${origin}/login`,
      verification_uri_complete: `${origin}/login?user_code=${grant.userCode}`,
      expires_in: loginMs / 1000,
      interval: pollSeconds,
    });
  };

  /** A token in the name of whoever approved; undefined when that person is gone by now. */
  const issue = async ({ clientName, address }: Grant, approval: Approval) => {
    const { accountTag, parent, tokenId, userId, scopes, expiresAtMs } = approval;
    if (tokenId !== undefined && (await store.accounts.knownTokens([tokenId])).length === 0) return undefined;
    const value = createApiToken();
    const parentId = parent?.id;
    const wanted = {
      accountTag,
      userId,
      parentId,
      scopes,
      expiresAtMs,
      label: `login on ${clientName}`,
      createdAtMs: now(),
    };
    let token: ApiTokenRecord;
    try {
      token = await store.accounts.addToken({ ...wanted, digest: digestApiToken(value) });
    } catch (error) {
      // The user was removed meanwhile, or the token revoked; nothing else can be wrong.
      if (isPosternError(error, 'store.failed') && (userId ?? parentId) !== undefined) return undefined;
      throw error;
    }
    const target = `tokens/${token.id}`;
    const by = { token: parent ?? token, after: { id: token.id, name: token.label } };
    await recordChange({ store, logger }, { accountTag, ...by, address, atMs: now(), action: 'log in', target });
    return { value, token };
  };

  const poll = async ({ form }: PageRequest): Promise<PageAnswer> => {
    if (form.get('grant_type') !== deviceGrantType) return json(400, { error: 'unsupported_grant_type' });
    const outcome = grants.poll(form.get('device_code') ?? '');
    if (outcome.kind !== 'approved') return json(400, { error: pollErrors[outcome.kind] });
    const issued = await issue(outcome.grant, outcome.approval);
    if (issued === undefined) return json(400, { error: pollErrors.refused });
    const { expiresAtMs, scopes } = issued.token;
    const left = expiresAtMs === undefined ? {} : { expires_in: Math.floor((expiresAtMs - now()) / 1000) };
    return json(200, { access_token: issued.value, token_type: 'bearer', scope: scopes.join(' '), ...left });
  };

  return {
    pages: [
      { path: '/login', methods: ['GET', 'POST'], answer: one => (one.method === 'GET' ? show(one) : decide(one)) },
      { path: '/oauth/device_authorization', methods: ['POST'], answer: begin },
      { path: '/oauth/token', methods: ['POST'], answer: poll },
    ],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** RFC 8628 §3.5; `invalid_grant` of RFC 6749 §5.2 for a code that was never given out, or was used. */
const pollErrors = {
  pending: 'authorization_pending',
  'slow-down': 'slow_down',
  refused: 'access_denied',
  expired: 'expired_token',
  unknown: 'invalid_grant',
} as const;

/** Name of the cookie that a form must bring back. The prefix makes browsers keep other hosts from setting it. */
function cookieName(secure: boolean): string {
  return secure ? '__Host-postern_login' : 'postern_login';
}

function formPage(request: PageRequest, status: number, form: Omit<LoginForm, 'csrf'>): PageAnswer {
  const { secure } = request;
  const kept = cookieOf(request);
  const nonce = kept ?? randomBytes(32).toString('base64url');
  const attributes = `HttpOnly; SameSite=Strict; Path=/; Max-Age=${loginMs / 1000}${secure ? '; Secure' : ''}`;
  return {
    status,
    type: 'text/html; charset=utf-8',
    body: renderForm({ ...form, csrf: csrfOf(nonce) }),
    headers: { ...pageHeaders, 'Set-Cookie': `${cookieName(secure)}=${nonce}; ${attributes}` },
  };
}

function endPage(title: string, text: string): PageAnswer {
  return { status: 200, type: 'text/html; charset=utf-8', body: renderEnd(title, text), headers: pageHeaders };
}

function json(status: number, document: object): PageAnswer {
  return { status, type: 'application/json', body: JSON.stringify(document) };
}

/** Whether the form came from our page in this browser: it brings what belongs to the cookie. */
function isOwnForm(request: PageRequest): boolean {
  const nonce = cookieOf(request);
  if (nonce === undefined) return false;
  const [given, expected] = [Buffer.from(request.form.get('csrf') ?? ''), Buffer.from(csrfOf(nonce))];
  return given.byteLength === expected.byteLength && timingSafeEqual(given, expected);
}

/** What a form holds is not the cookie itself, so that a page that leaks gives no cookie away. */
function csrfOf(nonce: string): string {
  return createHash('sha256').update('postern login form').update(nonce).digest('base64url');
}

function cookieOf({ cookie, secure }: PageRequest): string | undefined {
  const name = cookieName(secure);
  const [, value] = new RegExp(`(?:^|;\\s*)${name}=([\\w-]{43})(?:;|$)`).exec(cookie) ?? [];
  return value;
}
