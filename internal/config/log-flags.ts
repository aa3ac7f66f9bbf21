// The flags about logging. Source: docs/protocol/commands-and-api.md §3.

import type { Flag } from './flag.ts';

const formats: ReadonlySet<unknown> = new Set(['text', 'json', 'auto']);

/** Logging; every command takes these. */
export const logFlags = [
  {
    name: 'loglevel',
    aliases: ['log-level'],
    type: 'string',
    env: ['TUNNEL_LOGLEVEL'],
    default: 'info',
    fromFile: true,
    valueName: 'LEVEL',
    description: 'Least severe lines to log: debug, info, warn, error or fatal',
  },
  {
    name: 'logfile',
    type: 'string',
    env: ['TUNNEL_LOGFILE'],
    fromFile: true,
    valueName: 'FILE',
    description: 'Also append JSON log lines to this file',
  },
  {
    name: 'log-directory',
    type: 'string',
    env: ['TUNNEL_LOGDIRECTORY'],
    fromFile: true,
    valueName: 'DIR',
    description: 'Also write JSON log lines to DIR/postern.log, rotated at 1 MB, five old files kept',
  },
  {
    name: 'log-format',
    type: 'string',
    env: ['POSTERN_LOG_FORMAT'],
    default: 'auto',
    fromFile: true,
    valueName: 'FORMAT',
    check: text => (formats.has(text) ? undefined : 'is not a format: use text, json or auto'),
    description: 'Format of log lines: text, json, or auto, which is json for a service whose output is no terminal',
  },
  {
    name: 'output',
    type: 'string',
    env: ['TUNNEL_MANAGEMENT_OUTPUT', 'TUNNEL_LOG_OUTPUT'],
    default: 'default',
    valueName: 'FORMAT',
    description: 'Format of log lines and errors: default or json',
  },
] as const satisfies readonly Flag[];
