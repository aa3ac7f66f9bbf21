// The units of the Linux packages: a connector with the token in /etc/postern/token, instances with a token and a config file
// of their own, and an edge. They run as the user `postern`. `postern service install` writes units of the same names where an
// administrator's go, which come first. Source: systemd.unit(5), systemd.exec(5).

import { type SystemdUnit, systemdUnit } from '../../internal/service/systemd.ts';

const program = '/usr/bin/postern';

const documented = ['Documentation=man:postern(1)'];

/** Texts of the units by file name. */
export const packagedUnits: Readonly<Record<string, string>> = {
  'postern.service': unit({
    unit: ['Description=Postern connector', ...documented, 'ConditionPathExists=/etc/postern/token'],
    command: `${program} tunnel run`,
    // A connector without a config file ends at SIGHUP, and there may be none here.
    reloads: false,
    service: ['LoadCredential=token:/etc/postern/token', ...userLines('default', 'postern')],
    kind: 'connector',
  }),
  'postern@.service': unit({
    unit: [
      'Description=Postern connector (%i)',
      ...documented,
      'ConditionPathExists=/etc/postern/%i.token',
      'ConditionPathExists=/etc/postern/%i.config.yml',
    ],
    command: `${program} tunnel --config /etc/postern/%i.config.yml run`,
    reloads: true,
    service: ['LoadCredential=token:/etc/postern/%i.token', ...userLines('%i', '%i')],
    kind: 'connector',
  }),
  'postern-edge.service': unit({
    unit: ['Description=Postern edge', ...documented],
    command: `${program} edge run --state-dir /var/lib/postern/edge $POSTERN_EDGE_FLAGS`,
    reloads: true,
    service: userLines('edge', 'edge'),
    kind: 'edge',
  }),
};

function unit(parts: Omit<SystemdUnit, 'comment'>): string {
  return systemdUnit({
    comment: 'Comes with the package. Change it with: systemctl edit, and the settings in /etc/postern.',
    ...parts,
  });
}

/** `state` is below /var/lib/postern; `settings` is the name of a file of variables, which may be absent. */
function userLines(state: string, settings: string): string[] {
  return [
    `EnvironmentFile=-/etc/postern/${settings}.env`,
    'User=postern',
    `StateDirectory=postern/${state}`,
    'StateDirectoryMode=0700',
    `Environment=HOME=/var/lib/postern/${state}`,
  ];
}
