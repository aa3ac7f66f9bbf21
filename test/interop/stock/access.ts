// The `access` commands through our edge: TCP services over WebSocket, a jump host, applications behind a login.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { freePort } from '../../bench/free-port.ts';
import { listen } from '../../support/origin-server.ts';
import { within } from '../../support/wait.ts';
import { big } from '../visited-origin.ts';
import { Lab } from './lab.ts';
import { NotOffered, type Scenario, type Stage } from './scenario.ts';

export const accessScenarios: readonly Scenario[] = [
  { name: 'access tcp to a TCP service', run: reachService },
  { name: 'access tcp to a destination of a jump host', run: reachDestination },
  { name: 'access curl', run: askWithToken },
];

function openEcho(stage: Stage): Promise<number> {
  return listen(
    stage,
    createServer(socket => socket.pipe(socket)),
  );
}

async function reachService(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  const { host, token } = await lab.makeTunnel('tcp');
  await lab.run({ protocol: 'quic', token, runFlags: ['--url', `tcp://127.0.0.1:${await openEcho(stage)}`] });
  await checkForwarder(stage, lab, ['--hostname', host]);
}

async function reachDestination(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  const { host, token } = await lab.makeTunnel('jump');
  await lab.run({ protocol: 'quic', token, runFlags: ['--bastion'] });
  await checkForwarder(stage, lab, ['--hostname', host, '--destination', `127.0.0.1:${await openEcho(stage)}`]);
}

/** Starts `access tcp` with a listener and sends 1 MiB to the echo at its other end. */
async function checkForwarder(stage: Stage, lab: Lab, flags: readonly string[]): Promise<void> {
  // Our program says so if it has no such command; a stock one prints its help.
  await lab.command(['access', 'tcp']);
  const port = await freePort();
  const forwarder = lab.start(
    // Names of *.localhost are not known to every resolver.
    ['access', 'tcp', ...flags, '--url', `127.0.0.1:${port}`, '--connect-to', `127.0.0.1:${lab.ports.https}`],
    { SSL_CERT_FILE: lab.caFile },
  );
  await forwarder.logged(/Start Websocket listener/);
  const socket = connect(port, '127.0.0.1');
  stage.after(() => socket.destroy());
  const chunks: Buffer[] = [];
  const echoed = new Promise<void>((resolve, reject) => {
    let received = 0;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      received += chunk.length;
      if (received >= big.length) resolve();
    });
    socket.once('close', () => reject(new Error(`The forwarder closed the connection:\n${forwarder.log()}`)));
    socket.once('error', reject);
  });
  await within('the forwarder to accept', once(socket, 'connect'));
  socket.write(big);
  await within('the echo', echoed);
  assert.ok(Buffer.concat(chunks).equals(big), '1 MiB came back otherwise than it was sent');
}

async function askWithToken(stage: Stage): Promise<void> {
  const lab = await Lab.open(stage);
  const { token } = await lab.makeTunnel('protected');
  // The one name of the edge's zone that every resolver knows.
  await lab.operator('tunnel', 'route', 'dns', 'protected', 'localhost');
  await lab.run({ protocol: 'quic', token, flags: ['--hello-world'] });
  const url = `https://localhost:${lab.ports.https}/`;
  const { code, stderr } = await lab.command(['access', 'curl', url, '-sS'], { SSL_CERT_FILE: lab.caFile });
  if (stderr.includes('failed to find Access application')) throw new NotOffered('our edge has no Access applications');
  assert.equal(code, 0, stderr);
}
