// OpenRC: a script of openrc-run under supervise-daemon, and a file for the user it runs as. Source: openrc-run(8),
// supervise-daemon(8).

import { shellWord } from '../telemetry/shell-word.ts';
import {
  configFiles,
  type ServicePlatform,
  type ServiceSpec,
  secretFiles,
  serviceArguments,
  serviceTitle,
  takesReload,
} from './service.ts';
import { unixLabel, unixPaths } from './unix-paths.ts';

const paths = (name: string | undefined) => unixPaths(name, `/etc/init.d/${unixLabel(name)}`);
const confOf = (name: string | undefined): string => `/etc/conf.d/${unixLabel(name)}`;

export const openrc: ServicePlatform = {
  id: 'openrc',
  needsAdmin: true,
  label: unixLabel,
  paths,
  define(spec) {
    const where = paths(spec.name);
    const service = unixLabel(spec.name);
    const conf = `# The user the service runs as, who must be able to read ${where.token}.\npostern_user=${shellWord(spec.user ?? 'root')}\n`;
    return {
      files: [
        ...secretFiles(spec, where),
        ...configFiles(spec, where),
        { path: confOf(spec.name), text: conf, mode: 0o644 },
        { path: where.definition, text: scriptText(spec), mode: 0o755 },
      ],
      links: {},
      commands: [
        { words: ['rc-update', 'add', service, 'default'], live: true },
        { words: ['rc-service', service, 'start'], live: true, starts: true },
      ],
    };
  },
  removal(name) {
    const { definition, token } = paths(name);
    const service = unixLabel(name);
    return {
      before: [
        { words: ['rc-service', service, 'stop'], live: true, mayFail: true },
        { words: ['rc-update', 'delete', service, 'default'], live: true, mayFail: true },
      ],
      files: [definition, confOf(name), token],
      after: [],
    };
  },
  status: name => ['rc-service', unixLabel(name), 'status'],
  logs: (name, { lines, follow }) => [
    ...['tail', '-n', String(lines), ...(follow ? ['-F'] : [])],
    `/var/log/${unixLabel(name)}.log`,
  ],
};

function scriptText(spec: ServiceSpec): string {
  const [command = '', ...first] = spec.program;
  const words = [...first, ...serviceArguments(spec, paths(spec.name), { secretByFlag: true })];
  // openrc-run evaluates the arguments once more.
  const args = shellWord(words.map(shellWord).join(' '));
  const reload = `
extra_started_commands="reload"

reload() {
	ebegin "Reloading $RC_SVCNAME"
	supervise-daemon "$RC_SVCNAME" --signal HUP
	eend $?
}
`;
  return `#!/sbin/openrc-run
# Written by \`postern service install\`; \`postern service uninstall\` removes it.

name=${shellWord(serviceTitle(spec))}
supervisor="supervise-daemon"
command=${shellWord(command)}
command_args=${args}
command_user="\${postern_user:-root}"
pidfile="/run/\${RC_SVCNAME}.pid"
output_log="/var/log/\${RC_SVCNAME}.log"
error_log="/var/log/\${RC_SVCNAME}.log"
respawn_delay=5
respawn_max=0
# Running requests get the grace period, of three minutes at most.
retry="TERM/200/KILL/5"

depend() {
	need net
	after firewall
}
${takesReload(spec) ? reload : ''}`;
}
