// SysV init: an LSB script with start, stop, restart, reload and status, and its links of the run levels. Nothing restarts the
// program when it ends by itself. Source: LSB core specification, "Init Script Actions"; docs/protocol/commands-and-api.md §11.

import { PosternError } from '../errors/error.ts';
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

/** After the network, before most that needs it; docs/protocol/commands-and-api.md §11. */
const startLevels = [2, 3, 4, 5];
const stopLevels = [0, 1, 6];

export const sysv: ServicePlatform = {
  id: 'sysv',
  needsAdmin: true,
  label: unixLabel,
  paths,
  define(spec) {
    if (spec.user !== undefined)
      throw new PosternError('usage.invalid', '--user has no effect with SysV init: its services run as root');
    const where = paths(spec.name);
    return {
      files: [
        ...secretFiles(spec, where),
        ...configFiles(spec, where),
        { path: where.definition, text: scriptText(spec), mode: 0o755 },
      ],
      links: Object.fromEntries(linksOf(spec.name).map(path => [path, where.definition])),
      commands: [{ words: [where.definition, 'start'], live: true, starts: true }],
    };
  },
  removal(name) {
    const { definition, token } = paths(name);
    return {
      before: [{ words: [definition, 'stop'], live: true, mayFail: true }],
      files: [definition, ...linksOf(name), token],
      after: [],
    };
  },
  status: name => [paths(name).definition, 'status'],
  logs: (name, { lines, follow }) => [
    ...['tail', '-n', String(lines), ...(follow ? ['-F'] : [])],
    `/var/log/${unixLabel(name)}.log`,
  ],
};

function linksOf(name: string | undefined): readonly string[] {
  const link = (level: number, prefix: string): string => `/etc/rc${level}.d/${prefix}${unixLabel(name)}`;
  return [...startLevels.map(level => link(level, 'S50')), ...stopLevels.map(level => link(level, 'K02'))];
}

function scriptText(spec: ServiceSpec): string {
  const label = unixLabel(spec.name);
  const words = [...spec.program, ...serviceArguments(spec, paths(spec.name), { secretByFlag: true })];
  const command = words.map(shellWord).join(' ');
  const reload = `	reload)
		is_running || { echo "$NAME is not running"; exit 7; }
		kill -HUP "$(cat "$PIDFILE")"
		;;
`;
  const verbs = `start|stop|restart|${takesReload(spec) ? 'reload|' : ''}status`;
  return `#!/bin/sh
# Written by \`postern service install\`; \`postern service uninstall\` removes it.
### BEGIN INIT INFO
# Provides:          ${label}
# Required-Start:    $remote_fs $network
# Required-Stop:     $remote_fs $network
# Default-Start:     ${startLevels.join(' ')}
# Default-Stop:      ${stopLevels.join(' ')}
# Short-Description: ${serviceTitle(spec)}
### END INIT INFO

NAME=${shellWord(label)}
PIDFILE="/var/run/$NAME.pid"
LOGFILE="/var/log/$NAME.log"
# Running requests get the grace period, of three minutes at most.
STOP_SECONDS=200

is_running() {
	[ -f "$PIDFILE" ] && kill -0 "$(cat "$PIDFILE")" 2>/dev/null
}

start() {
	is_running && { echo "$NAME is running already"; return 0; }
	echo "Starting $NAME"
	umask 077
	cd / || return 1
	# Nobody starts it again after an update: it takes its own place.
	POSTERN_RESTART=exec nohup ${command} >>"$LOGFILE" 2>&1 </dev/null &
	echo $! >"$PIDFILE"
	# A wrong configuration ends it at once.
	sleep 1
	is_running || { echo "$NAME did not start, see $LOGFILE"; rm -f "$PIDFILE"; return 1; }
}

stop() {
	is_running || { echo "$NAME is not running"; rm -f "$PIDFILE"; return 0; }
	echo "Stopping $NAME"
	kill "$(cat "$PIDFILE")"
	seconds=0
	while is_running; do
		[ $seconds -lt $STOP_SECONDS ] || kill -KILL "$(cat "$PIDFILE")"
		sleep 1
		seconds=$((seconds + 1))
	done
	rm -f "$PIDFILE"
}

case "$1" in
	start) start ;;
	stop) stop ;;
	restart) stop && start ;;
${takesReload(spec) ? reload : ''}	status)
		is_running && { echo "$NAME is running (pid $(cat "$PIDFILE"))"; exit 0; }
		echo "$NAME is not running"
		[ -f "$PIDFILE" ] && exit 1
		exit 3
		;;
	*)
		echo "Usage: $0 {${verbs}}"
		exit 2
		;;
esac
`;
}
