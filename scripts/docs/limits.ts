// The generated tables of docs/limits.md. Values come from the constants that the program itself uses.

import { maxBytes as logFileBytes } from '../../cmd/log-file.ts';
import { maxFileBytes as configFileBytes } from '../../internal/config/file/config-file.ts';
import { maxConnections as apiConnections } from '../../internal/control-plane/api-listener.ts';
import { maxAuditDocument } from '../../internal/control-plane/audit.ts';
import { refusalLimits as wrongTokens } from '../../internal/control-plane/authorization.ts';
import { callLimits } from '../../internal/control-plane/control-plane.ts';
import { maxBodyBytes } from '../../internal/control-plane/request-body.ts';
import { maxFormBytes, pageLimits } from '../../internal/control-plane/served-page.ts';
import { maxFileBytes as credentialsFileBytes } from '../../internal/credentials/private-file.ts';
import { maxTokenLength } from '../../internal/credentials/tunnel-token.ts';
import { loginLimits, loginMs } from '../../internal/features/login/grants.ts';
import { maxTokens } from '../../internal/features/people/token-handlers.ts';
import { maxUsers } from '../../internal/features/people/user-handlers.ts';
import {
  maxPerAddress,
  maxPerNetwork,
  maxTunnels,
  networkRequestLimits,
  requestLimits,
} from '../../internal/features/quick-tunnels/quick-tunnels.ts';
import { maxAccessLogBytes } from '../../internal/proxy/access-log.ts';
import { formatDuration } from '../../internal/schema/duration.ts';
import { maxAuditEntries } from '../../internal/store/sql/audit.ts';
import { keepDeletedMs } from '../../internal/store/sql/store-parts.ts';
import { maxTemplateBytes } from '../../internal/visitors/error-template.ts';
import { maxRequestBytes } from '../../internal/wire/stream/configuration-request.ts';
import { bytes, count, days, limitsTable, type Row, rate, source } from './limit-row.ts';
import { privateRows } from './limits-private.ts';
import { answerHeads, connectorRows, requestHeads, visitorRows } from './limits-public.ts';

const quickTunnels = 'features/quick-tunnels/quick-tunnels.ts';

const controlRows: readonly Row[] = [
  [
    'API calls of one address',
    rate(callLimits),
    '429, `api.rate-limited`',
    source('callLimits', 'control-plane/control-plane.ts'),
  ],
  [
    'wrong API tokens of one address',
    rate(wrongTokens),
    '429, `api.rate-limited`',
    source('refusalLimits', 'control-plane/authorization.ts'),
  ],
  [
    'connections to the API',
    count(apiConnections),
    'the new one is closed',
    source('maxConnections', 'control-plane/api-listener.ts'),
  ],
  [
    'body of an API call',
    bytes(maxBodyBytes),
    '`api.invalid`',
    source('maxBodyBytes', 'control-plane/request-body.ts'),
  ],
  [
    'users, groups and devices of one account, each',
    count(maxUsers),
    '`api.invalid`',
    source('maxUsers', 'features/people/user-handlers.ts'),
  ],
  [
    'API tokens of one account, expired ones too',
    count(maxTokens),
    '`api.invalid`',
    source('maxTokens', 'features/people/token-handlers.ts'),
  ],
  [
    'entries of the audit log of one account',
    count(maxAuditEntries),
    'the oldest are forgotten',
    source('maxAuditEntries', 'store/sql/audit.ts'),
  ],
  [
    'a document in the audit log, before or after a change',
    `${count(maxAuditDocument)} characters`,
    'its length and SHA-256 are kept',
    source('maxAuditDocument', 'control-plane/audit.ts'),
  ],
  [
    'requests of pages and of programs that log in, one address',
    rate(pageLimits),
    '429',
    source('pageLimits', 'control-plane/served-page.ts'),
  ],
  [
    'logins under way',
    `${count(loginLimits.total)}; ${count(loginLimits.perAddress)} of one address`,
    '429',
    source('loginLimits', 'features/login/grants.ts'),
  ],
  [
    'time for a person to confirm a login',
    formatDuration(loginMs),
    'the program is told to begin again',
    source('loginMs', 'features/login/grants.ts'),
  ],
  ['form of the login page', bytes(maxFormBytes), '400', source('maxFormBytes', 'control-plane/served-page.ts')],
  ['quick tunnels', count(maxTunnels), '429', source('maxTunnels', quickTunnels)],
  ['quick tunnels of one address', count(maxPerAddress), '429', source('maxPerAddress', quickTunnels)],
  [
    'quick tunnels of one network (IPv4 /24, IPv6 /48)',
    count(maxPerNetwork),
    '429',
    source('maxPerNetwork', quickTunnels),
  ],
  ['requests for quick tunnels, one address', rate(requestLimits), '429', source('requestLimits', quickTunnels)],
  [
    'requests for quick tunnels, one network',
    rate(networkRequestLimits),
    '429',
    source('networkRequestLimits', quickTunnels),
  ],
  [
    'how long deleted tunnels, routes and networks can be listed',
    days(keepDeletedMs),
    'the next start of the edge forgets them',
    source('keepDeletedMs', 'store/sql/store-parts.ts'),
  ],
];

const fileRows: readonly Row[] = [
  ['config file', bytes(configFileBytes), '`config.invalid`', source('maxFileBytes', 'config/file/config-file.ts')],
  [
    'configuration pushed by an edge, over HTTP/2',
    bytes(maxRequestBytes),
    'it is refused; the one before stays',
    source('maxRequestBytes', 'wire/stream/configuration-request.ts'),
  ],
  [
    'credentials file, token file',
    bytes(credentialsFileBytes),
    '`credentials.invalid`',
    source('maxFileBytes', 'credentials/private-file.ts'),
  ],
  [
    'token',
    `${count(maxTokenLength)} characters`,
    '`credentials.invalid`',
    source('maxTokenLength', 'credentials/tunnel-token.ts'),
  ],
  [
    'log file of `--log-directory`',
    bytes(logFileBytes),
    'it is rotated; five old files are kept',
    source('maxBytes', 'cmd/log-file.ts'),
  ],
  [
    'access log of a connector',
    bytes(maxAccessLogBytes),
    'it is rotated; five old files are kept',
    source('maxAccessLogBytes', 'proxy/access-log.ts'),
  ],
  [
    '`--error-page` of an edge',
    bytes(maxTemplateBytes),
    '`config.invalid`',
    source('maxTemplateBytes', 'visitors/error-template.ts'),
  ],
];

/** The tables by the name of their markers. */
export const limitTables: Readonly<Record<string, () => string>> = {
  'request-heads': () => limitsTable(requestHeads),
  'answer-heads': () => limitsTable(answerHeads),
  visitors: () => limitsTable(visitorRows),
  connectors: () => limitsTable(connectorRows),
  'private-networks': () => limitsTable(privateRows),
  'control-plane': () => limitsTable(controlRows),
  files: () => limitsTable(fileRows),
};
