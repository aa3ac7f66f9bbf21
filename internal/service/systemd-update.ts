// systemd: a timer that updates the program of a connector once a day, and restarts the connector when it runs an older one. The
// connector itself is in a sandbox and cannot write its program. Sources: systemd.timer(5), test(1); docs/protocol/commands-and-api.md
// §11.

import { shellWord } from '../telemetry/shell-word.ts';
import type { ServiceFile, ServiceSpec } from './service.ts';

export interface UpdateUnits {
  readonly service: string;
  readonly timer: string;
}

/** Names of the units of an instance: `postern-update@web.timer`. */
export function updateUnits(name: string | undefined): UpdateUnits {
  const label = name === undefined ? 'postern-update' : `postern-update@${name}`;
  return { service: `${label}.service`, timer: `${label}.timer` };
}

/** Where the units of an instance are. */
export function updatePaths(name: string | undefined): readonly string[] {
  const { service, timer } = updateUnits(name);
  return [service, timer].map(unit => `/etc/systemd/system/${unit}`);
}

/** The units; none for a service that is not updated. */
export function updateFiles({ name, program, updates }: ServiceSpec): readonly ServiceFile[] {
  if (updates !== true) return [];
  const [service = '', timer = ''] = updatePaths(name);
  const unit = name === undefined ? 'postern.service' : `postern@${name}.service`;
  const path = program[0] ?? '';
  // Another instance may have updated the program already: what counts is which file the connector runs.
  const script = [
    `${shellWord(path)} update`,
    'code=$?',
    '[ $code -eq 0 ] || [ $code -eq 11 ] || exit $code',
    `pid=$(systemctl show --value --property=MainPID ${unit})`,
    `[ "$pid" = 0 ] || [ /proc/$pid/exe -ef ${shellWord(path)} ] || systemctl restart ${unit}`,
  ].join('; ');
  return [
    { path: service, text: serviceText(unit, script), mode: 0o644 },
    { path: timer, text: timerText(unit), mode: 0o644 },
  ];
}

const comment = '# Written by `postern service install`; `postern service uninstall` removes it.';

function serviceText(unit: string, script: string): string {
  // Quoted for the unit: its specifiers, its variables and its escapes taken literally.
  const word = script.replaceAll('%', '%%').replaceAll('$', '$$$$').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `${comment}
[Unit]
Description=Update of the program of ${unit}
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c "${word}"
`;
}

/** Not all machines at the same moment. */
function timerText(unit: string): string {
  return `${comment}
[Unit]
Description=Daily update of the program of ${unit}

[Timer]
OnCalendar=daily
RandomizedDelaySec=12h
Persistent=true

[Install]
WantedBy=timers.target
`;
}
