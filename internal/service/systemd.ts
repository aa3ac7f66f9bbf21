// systemd: a unit for each instance, `postern.service` or `postern@NAME.service`. It waits for the first registration, is
// watched, and runs as a user of its own in a sandbox that leaves what ICMP and low ports need. Sources: systemd.service(5),
// systemd.exec(5), systemd.unit(5).

import {
  configFiles,
  type ServiceCommand,
  type ServicePlatform,
  type ServiceSpec,
  type ServiceSystem,
  secretFiles,
  serviceArguments,
  serviceTitle,
  takesReload,
  unnamed,
} from './service.ts';
import { updateFiles, updatePaths, updateUnits } from './systemd-update.ts';
import { unixPaths } from './unix-paths.ts';

const label = (name: string | undefined): string => (name === undefined ? 'postern' : `postern@${name}`);
const unitOf = (name: string | undefined): string => `${label(name)}.service`;
const paths = (name: string | undefined) => unixPaths(name, `/etc/systemd/system/${unitOf(name)}`);

export const systemd: ServicePlatform = {
  id: 'systemd',
  needsAdmin: true,
  label,
  paths,
  define(spec, system) {
    const where = paths(spec.name);
    const unit = unitOf(spec.name);
    return {
      files: [
        ...secretFiles(spec, where),
        ...configFiles(spec, where),
        { path: where.definition, text: unitText(spec), mode: 0o644 },
        ...updateFiles(spec),
      ],
      links: {},
      commands: [
        live('systemctl', 'daemon-reload'),
        onFiles(system, 'enable', unit),
        ...updateCommands(spec, system),
        { ...live('systemctl', 'start', unit), starts: true },
      ],
    };
  },
  removal(name, system) {
    const unit = unitOf(name);
    const { definition, token } = paths(name);
    const update = updateUnits(name);
    return {
      before: [
        { ...live('systemctl', 'stop', update.timer), mayFail: true },
        { ...onFiles(system, 'disable', update.timer), mayFail: true },
        { ...live('systemctl', 'stop', unit), mayFail: true },
        { ...onFiles(system, 'disable', unit), mayFail: true },
      ],
      files: [definition, token, ...updatePaths(name)],
      after: [live('systemctl', 'daemon-reload'), { ...live('systemctl', 'reset-failed', unit), mayFail: true }],
    };
  },
  status: name => ['systemctl', 'status', '--no-pager', unitOf(name)],
  logs: (name, { lines, follow }) => [
    ...['journalctl', '--no-pager', '--unit', unitOf(name), '--lines', String(lines)],
    ...(follow ? ['--follow'] : []),
  ],
};

function live(...words: readonly string[]): ServiceCommand {
  return { words, live: true };
}

/** Works on the files of a system that is not running, too. */
function onFiles({ root }: ServiceSystem, verb: string, unit: string): ServiceCommand {
  const at = root === '' ? [] : [`--root=${root}`];
  return { words: ['systemctl', ...at, '--quiet', verb, unit], live: false };
}

function updateCommands(spec: ServiceSpec, system: ServiceSystem): readonly ServiceCommand[] {
  if (spec.updates !== true) return [];
  const { timer } = updateUnits(spec.name);
  return [onFiles(system, 'enable', timer), live('systemctl', 'start', timer)];
}

function unitText(given: ServiceSpec): string {
  // In its sandbox it cannot write its program.
  const spec = given.updates === true ? { ...given, flags: ['--no-autoupdate', ...given.flags] } : given;
  const where = paths(spec.name);
  const words = [...spec.program, ...serviceArguments(spec, where, { secretByFlag: false })];
  return systemdUnit({
    comment: 'Written by `postern service install`; `postern service uninstall` removes it.',
    unit: [`Description=${specifierFree(serviceTitle(spec))}`],
    command: words.map(systemdWord).join(' '),
    reloads: takesReload(spec),
    service: [...secretLines(spec), ...userLines(spec)],
    kind: spec.kind,
  });
}

/** A unit of a connector or an edge. */
export interface SystemdUnit {
  readonly comment: string;
  /** Lines of [Unit]. */
  readonly unit: readonly string[];
  /** Text of ExecStart. */
  readonly command: string;
  readonly reloads: boolean;
  /** Lines of [Service] about secrets, the user and directories. */
  readonly service: readonly string[];
  readonly kind: ServiceSpec['kind'];
}

/** The text of a unit's file: how a connector or an edge is started, watched, stopped and confined. */
export function systemdUnit({ comment, unit, command, reloads, service, kind }: SystemdUnit): string {
  return `# ${comment}
[Unit]
${lines(unit)}
After=network-online.target
Wants=network-online.target

[Service]
# The program says when it serves: a connector after its first registration.
Type=notify
TimeoutStartSec=60
ExecStart=${command}
${reloads ? 'ExecReload=/bin/kill -HUP $MAINPID\n' : ''}# Another start mends neither a wrong configuration (3) nor a wrong command line (64).
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=3 64
# Running requests get the grace period, for which the program asks.
TimeoutStopSec=60
KillMode=mixed
WatchdogSec=30
${lines(service)}
LimitNOFILE=65536

${lines(sandboxLines(kind === 'edge' ? 'CAP_NET_BIND_SERVICE' : 'CAP_NET_RAW'))}

[Install]
WantedBy=multi-user.target
`;
}

function lines(...parts: readonly (readonly string[])[]): string {
  return parts.flat().join('\n');
}

/** The manager reads the file as root and hands the service a copy. */
function secretLines({ name, secret }: ServiceSpec): string[] {
  if (secret === undefined) return [];
  if (secret.kind === 'token') return [`LoadCredential=token:${specifierFree(paths(name).token)}`];
  return [`LoadCredential=credentials.json:${specifierFree(secret.path)}`];
}

function userLines({ name, user }: ServiceSpec): string[] {
  const directory = `postern/${name ?? unnamed}`;
  const own = user === undefined ? ['DynamicUser=yes'] : [`User=${specifierFree(user)}`];
  return [...own, `StateDirectory=${directory}`, 'StateDirectoryMode=0700', `Environment=HOME=/var/lib/${directory}`];
}

/**
 * What the program does without. It needs: address families of visitors and origins, and netlink to list interfaces; memory
 * that is written and executed (V8); `capability` for echo sockets or ports below 1024.
 */
function sandboxLines(capability: string): string[] {
  return [
    `AmbientCapabilities=${capability}`,
    `CapabilityBoundingSet=${capability}`,
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    'ProtectHome=read-only',
    'PrivateDevices=yes',
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'ProtectProc=invisible',
    'RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX',
    'RestrictNamespaces=yes',
    'RestrictRealtime=yes',
    'RestrictSUIDSGID=yes',
    'LockPersonality=yes',
    'SystemCallArchitectures=native',
    'SystemCallFilter=@system-service',
    'SystemCallErrorNumber=EPERM',
    'UMask=0077',
  ];
}

/** A word of ExecStart: quoted, with the unit's specifiers and variables taken literally. */
function systemdWord(text: string): string {
  const literal = specifierFree(text).replaceAll('$', '$$$$');
  if (/^[\w./@%+=:,$-]+$/.test(literal)) return literal;
  return `"${literal.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

function specifierFree(text: string): string {
  return text.replaceAll('%', '%%');
}
