// --credential-store keychain with a real keychain: GNOME Keyring on a D-Bus session of its own; and without any.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { posternCommand, startChild } from '../support/child-program.ts';
import { haveCommand } from '../support/debian-package.ts';
import { runPostern } from '../support/run-cli.ts';
import { TunnelWorld } from '../support/tunnel-world.ts';
import { within } from '../support/wait.ts';

/** Commands of a user with a desktop; the program's words are its arguments. */
const scenario = `
eval "$(printf password | gnome-keyring-daemon --unlock --components=secrets)"
export POSTERN_CREDENTIAL_STORE=keychain
"$@" tunnel create kept
"$@" tunnel list
tries=0
"$@" tunnel --hello-world --metrics 127.0.0.1:0 --ha-connections 1 run kept 2>run.log &
until grep -q 'Registered tunnel connection' run.log; do
	tries=$((tries + 1))
	[ $tries -lt 300 ] || { cat run.log; exit 1; }
	sleep 0.1
done
kill $!
wait $!
echo "ran: $?"
id=$("$@" tunnel create --credentials-file other.json other | sed -n 's/.* with id //p')
rm other.json
"$@" tunnel run $id 2>&1 || echo "unknown: $?"
"$@" tunnel token --credential-store keychain other
"$@" tunnel token other | wc -l
"$@" tunnel delete kept
"$@" tunnel create kept
"$@" tunnel delete other kept
`;

describe('credentials in the keychain', { timeout: 180_000 }, () => {
  it('are written, used and removed', async t => {
    for (const [command, packages] of [
      ['dbus-run-session', ['dbus-daemon']],
      ['gnome-keyring-daemon', ['gnome-keyring']],
    ] as const)
      if (!haveCommand(command, packages)) return t.skip(`${command} is not here (package ${packages[0]})`);
    const world = await TunnelWorld.open(t);
    const before = readdirSync(world.home, { recursive: true }).filter(name => String(name).endsWith('.json'));
    const data = join(world.home, 'data');
    const env = { XDG_DATA_HOME: data, XDG_RUNTIME_DIR: world.home, XDG_CONFIG_HOME: data };
    const words = ['dbus-run-session', '--', 'sh', '-ec', scenario, 'sh', ...posternCommand()];
    await using run = startChild(words, { home: world.home, env });
    assert.equal(await within('the scenario', run.exited, 120_000), 0, run.output() + run.log());
    for (const line of [
      /^Tunnel credentials kept in your keychain\. To revoke them, delete the tunnel\.\n\nCreated tunnel kept with id/m,
      /^ran: 0$/m,
      /^The keychain has no credentials of tunnel [0-9a-f-]{36}\. Put them there with: postern tunnel token --credential-store keychain/m,
      /^unknown: 2$/m,
      /^Tunnel credentials kept in your keychain: postern tunnel run --credential-store keychain [0-9a-f-]{36}\n1$/m,
    ])
      assert.match(run.output(), line);
    // No secret is in a file, and what the keychain wrote is there.
    const after = readdirSync(world.home, { recursive: true }).filter(name => String(name).endsWith('.json'));
    assert.deepEqual(after, before);
    assert.ok(existsSync(join(data, 'keyrings')));
  });

  it('are refused with what is needed where there is no keychain', async t => {
    const world = await TunnelWorld.open(t);
    const env = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(world.home, 'none')}`, XDG_RUNTIME_DIR: world.home };
    const program = startChild([...posternCommand(), 'tunnel', 'create', '--credential-store', 'keychain', 'lost'], {
      home: world.home,
      env,
    });
    assert.equal(await within('the exit', program.exited), 1);
    assert.match(
      program.log(),
      /^The credentials could not be kept, the tunnel was deleted again: The keychain of this user cannot be used: .*It needs .*; without one keep credentials in files: --credential-store file \[[a-z.-]+\]\n$/,
    );
    const { stdout } = await runPostern(world.home, ['tunnel', 'list']);
    assert.doesNotMatch(stdout, /lost/);
    const wrong = await runPostern(world.home, ['tunnel', 'list', '--credential-store', 'pocket']);
    assert.equal(wrong.code, 64);
    assert.match(wrong.stderr, /^Unknown credential store/);
  });
});
