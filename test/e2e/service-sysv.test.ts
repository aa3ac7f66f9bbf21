// `service install` as root on a machine with SysV init: this one, with the directories that it writes replaced by empty ones in
// a mount namespace. The script that it writes is what runs.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { encodeToken } from '../../internal/credentials/tunnel-token.ts';
import { spkiPin } from '../../internal/net/trust/spki-pin.ts';
import { createTunnelId } from '../../internal/schema/api/id.ts';
import { posternCommand, startChild } from '../support/child-program.ts';
import { temporaryDirectory } from '../support/program.ts';
import { runPostern } from '../support/run-cli.ts';
import { SmallEdge } from '../support/small-edge.ts';
import { within } from '../support/wait.ts';

const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
const mounts =
  isRoot && spawnSync('unshare', ['--mount', 'true']).status === 0 ? false : 'mounting takes root on Linux';

/** The program's words are its arguments; every wait is bounded. */
const scenario = `
for directory in /etc/init.d /etc/postern /run /var/log /var/lib /etc/rc0.d /etc/rc1.d /etc/rc2.d /etc/rc3.d /etc/rc4.d \
/etc/rc5.d /etc/rc6.d; do
	mkdir -p $directory
	mount -t tmpfs none $directory
done
# Where /var/run is not a link to it.
mkdir -p /var/run
log=/var/log/postern-web.log
pid=/var/run/postern-web.pid
registered() {
	tries=0
	until [ "$(grep -c 'Registered tunnel connection' $log)" -ge "$1" ]; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || { cat $log; exit 1; }
		sleep 0.1
	done
}
"$@" service install --name web --token-file - --ha-connections 1 --protocol http2 -- --metrics 127.0.0.1:0 < token
registered 1
"$@" service status
"$@" service status --output json | tr -d '\\n'; echo
echo "modes: $(stat -c '%a %n' /etc/postern/*)"
echo "links: $(echo /etc/rc?.d/*postern-web)"
echo "words: $(tr '\\0' ' ' < /proc/$(cat $pid)/cmdline)"
"$@" service install --name web --token-file token 2>&1 || echo "again: $?"
/etc/init.d/postern-web restart
registered 2
"$@" service logs -n 1000 | grep -c 'Registered tunnel connection'
process=$(cat $pid)
"$@" service uninstall --name other 2>&1 || echo "other: $?"
"$@" service uninstall
[ -d /proc/$process ] && echo "$process is still there"
find /etc/init.d /etc/postern /etc/rc[0-6].d -type f -o -type l
"$@" service status 2>&1 || echo "gone: $?"
`;

describe('service of SysV init', { timeout: 180_000 }, () => {
  it('installs, runs, restarts, shows and removes a connector', {
    skip: existsSync('/run/systemd/system') ? 'this machine has systemd' : mounts,
  }, async t => {
    const edge = await SmallEdge.open();
    t.after(() => edge.close());
    const home = await temporaryDirectory(t);
    const token = encodeToken({
      accountTag: 'account-tag',
      tunnelId: createTunnelId(),
      secret: Buffer.from('secret'),
      edge: [`127.0.0.1:${edge.port}`],
      caPin: spkiPin(new X509Certificate(edge.ca.cert)),
    });
    writeFileSync(join(home, 'token'), `${token}\n`, { mode: 0o600 });
    const words = ['unshare', '--mount', 'sh', '-ec', scenario, 'sh', ...posternCommand()];
    await using run = startChild(words, { home });
    assert.equal(await within('the scenario', run.exited, 120_000), 0, run.output() + run.log());
    const output = run.output();
    for (const line of [
      /^The service postern-web runs \(\/etc\/init\.d\/postern-web\)/m,
      /^postern-web is running \(pid \d+\)$/m,
      /^\{ +"services": \[ +\{ +"name": "web", +"label": "postern-web", +"manager": "sysv", +"definition": "\/etc\/init\.d\/postern-web", +"running": true, +"code": 0, +"detail": "postern-web is running \(pid \d+\)"/m,
      /^modes: 600 \/etc\/postern\/web\.token$/m,
      /^links: (\/etc\/rc[016]\.d\/K02postern-web ?|\/etc\/rc[2-5]\.d\/S50postern-web ?){7}$/m,
      /^words: \S+node .*tunnel --ha-connections=1 --protocol=http2 --metrics=127\.0\.0\.1:0 run --token-file \/etc\/postern\/web\.token $/m,
      /^The service postern-web is installed already, at \/etc\/init\.d\/postern-web\. Remove it with: postern service uninstall --name web/m,
      /^again: 1$/m,
      /^Stopping postern-web$/m,
      /^2$/m,
      /^The service postern-other is not installed\. There is postern-web: choose with --name \[[a-z.-]+\]$/m,
      /^The service postern-web was removed\nThe service postern is not installed\. No other one is: install one with postern service install \[[a-z.-]+\]\ngone: 1$/m,
    ])
      assert.match(output, line);
    assert.ok(!output.includes(token) && !run.log().includes(token));
  });
});

describe('service install', () => {
  it('checks what it is given before it writes', async t => {
    const home = await temporaryDirectory(t);
    const token = encodeToken({ accountTag: 'a', tunnelId: createTunnelId(), secret: Buffer.from('secret') });
    writeFileSync(join(home, 'open.yml'), `token: ${token}\ntunnel: x\ningress: [{ service: http_status:204 }]\n`);
    writeFileSync(join(home, 'alone.yml'), 'ingress: [{ service: http_status:204 }]\n');
    for (const [args, code, text] of [
      [[], 64, /^A service needs a token or a config file/],
      [['rubbish'], 2, /^Provided Tunnel token is not valid/],
      [[token, '--name', 'a/b'], 64, /^--name "a\/b" is not a name/],
      [[token, '--name', 'default'], 64, /is not a name/],
      [['--config', 'open.yml'], 3, /holds a secret \(token\)/],
      [['--config', 'alone.yml'], 3, /must contain entries for the tunnel to run and its associated credentials/],
      [[token, '--', '--protocol', 'smoke'], 64, /Unknown protocol/],
      [[token, '--', '--nonsense'], 64, /no flag --nonsense/],
      [[token, '--', '--token', token], 64, /--token would show in process lists/],
      [['--edge', '--url', 'http://localhost'], 64, /--url is of connectors; flags of an edge follow after --/],
      [['--edge', '--', '--http-port', 'x'], 64, /--http-port must be an integer/],
      [['--edge', '--', 'example.com'], 64, /Too many arguments: "example\.com" after --/],
    ] as const) {
      const outcome = await runPostern(home, ['service', 'install', ...args]);
      assert.equal(outcome.code, code, `${args.join(' ')}: ${outcome.stderr}`);
      assert.match(outcome.stderr, text);
      assert.ok(!outcome.stderr.includes(token));
    }
  });
});
