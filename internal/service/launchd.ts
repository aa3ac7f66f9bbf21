// launchd of macOS: a daemon of the system for root, else an agent of the user. Never run on a Mac yet. Source:
// launchd.plist(5), launchctl(1).

import { posix } from 'node:path';
import {
  configFiles,
  type ServicePaths,
  type ServicePlatform,
  type ServiceSpec,
  type ServiceSystem,
  secretFiles,
  serviceArguments,
  unnamed,
} from './service.ts';
import { escapeXml } from './xml.ts';

const label = (name: string | undefined): string => (name === undefined ? 'postern' : `postern.${name}`);

/** A user's library, or the machine's. */
function library({ homeDir, isAdmin }: ServiceSystem): string {
  return isAdmin ? '/Library' : posix.join(homeDir, 'Library');
}

function paths(name: string | undefined, system: ServiceSystem): ServicePaths {
  const base = library(system);
  const support = posix.join(base, 'Application Support/postern');
  const prefix = name === undefined ? '' : `${name}.`;
  return {
    definition: posix.join(base, system.isAdmin ? 'LaunchDaemons' : 'LaunchAgents', `${label(name)}.plist`),
    token: posix.join(support, `${prefix}token`),
    config: posix.join(support, `${prefix}config.yml`),
    state: posix.join(support, name ?? unnamed),
  };
}

const logOf = (name: string | undefined, system: ServiceSystem, kind: 'out' | 'err'): string =>
  posix.join(library(system), 'Logs', `${label(name)}.${kind}.log`);
const domainOf = ({ isAdmin, uid }: ServiceSystem): string => (isAdmin ? 'system' : `gui/${uid}`);

export const launchd: ServicePlatform = {
  id: 'launchd',
  needsAdmin: false,
  label,
  paths,
  define(spec, system) {
    const where = paths(spec.name, system);
    return {
      files: [
        ...secretFiles(spec, where),
        ...configFiles(spec, where),
        { path: where.definition, text: plistText(spec, system), mode: 0o644 },
      ],
      links: {},
      commands: [{ words: ['launchctl', 'bootstrap', domainOf(system), where.definition], live: true, starts: true }],
    };
  },
  removal(name, system) {
    const { definition, token } = paths(name, system);
    const service = `${domainOf(system)}/${label(name)}`;
    return {
      before: [{ words: ['launchctl', 'bootout', service], live: true, mayFail: true }],
      files: [definition, token],
      after: [],
    };
  },
  status: (name, system) => ['launchctl', 'print', `${domainOf(system)}/${label(name)}`],
  logs: (name, { lines, follow }, system) => [
    ...['tail', '-n', String(lines), ...(follow ? ['-F'] : [])],
    logOf(name, system, 'err'),
  ],
};

/** A property list's value. */
type Plist = string | number | boolean | readonly Plist[] | { readonly [key: string]: Plist };

function plistText(spec: ServiceSpec, system: ServiceSystem): string {
  const where = paths(spec.name, system);
  const value: Plist = {
    Label: label(spec.name),
    ProgramArguments: [...spec.program, ...serviceArguments(spec, where, { secretByFlag: true })],
    ...(spec.user === undefined ? {} : { UserName: spec.user }),
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: 5,
    // Running requests get the grace period, of three minutes at most.
    ExitTimeOut: 200,
    ProcessType: 'Interactive',
    SoftResourceLimits: { NumberOfFiles: 65_536 },
    StandardOutPath: logOf(spec.name, system, 'out'),
    StandardErrorPath: logOf(spec.name, system, 'err'),
    Umask: 0o077,
  };
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by \`postern service install\`; \`postern service uninstall\` removes it. -->
<plist version="1.0">
${encode(value, '')}
</plist>
`;
}

function encode(value: Plist, indent: string): string {
  const inner = `${indent}  `;
  if (typeof value === 'string') return `${indent}<string>${escapeXml(value)}</string>`;
  if (typeof value === 'number') return `${indent}<integer>${value}</integer>`;
  if (typeof value === 'boolean') return `${indent}<${value}/>`;
  if (Array.isArray(value))
    return [`${indent}<array>`, ...value.map(item => encode(item, inner)), `${indent}</array>`].join('\n');
  const entries = Object.entries(value).flatMap(([key, item]) => [
    `${inner}<key>${escapeXml(key)}</key>`,
    encode(item, inner),
  ]);
  return [`${indent}<dict>`, ...entries, `${indent}</dict>`].join('\n');
}
