// What a visitor who does not read takes from us: the kernel's part is bounded.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../../../test/support/program.ts';
import { until, within } from '../../../test/support/wait.ts';
import { openCertificates } from '../../certificates/open-certificates.ts';
import { unsentBytes } from '../../net/stream/bound-unsent.ts';
import { silentLogger } from '../../telemetry/logger.ts';
import { openPublicServer } from './server.ts';

const piece = Buffer.alloc(64 * 1024);
/** Beside what is unsent: what the visitor's own kernel takes before it says no, and what waits in JavaScript. */
const elsewhereBytes = 640 * 1024;
/** So many looks in a row without a change mean that nobody takes more. */
const quietLooks = 20;

describe('a visitor who does not read', { skip: process.platform !== 'linux' }, () => {
  it('is given no more than the bound of unsent bytes', async t => {
    const certificates = await openCertificates({
      stateDir: await temporaryDirectory(t),
      names: ['127.0.0.1'],
      visitorDomains: ['example.test'],
      logger: silentLogger(),
    });
    let given = 0;
    const server = await openPublicServer({
      ...{ host: '127.0.0.1', httpPort: 0, httpsPort: undefined, certificates, logger: silentLogger() },
      handle: (_request, response) => {
        const body = response.start(200, [], { hasBody: true });
        const more = (): void => {
          let isTaken = true;
          while (isTaken && given < 8e6) {
            isTaken = body?.write(piece) ?? false;
            given += piece.length;
          }
        };
        body?.onDrain(more);
        more();
      },
    });
    const visitor = connect({ port: server.httpPort ?? 0, host: '127.0.0.1' }).pause();
    t.after(async () => {
      visitor.destroy();
      await within('the listeners to end', server.drain(0));
      await certificates.close();
    });
    visitor.write('GET / HTTP/1.1\r\nhost: app.example.test\r\n\r\n');
    let before = -1;
    let quiet = 0;
    await until('nobody takes more', () => {
      quiet = given > 0 && given === before ? quiet + 1 : 0;
      before = given;
      return quiet === quietLooks;
    });
    assert.ok(given <= unsentBytes + elsewhereBytes, `${given} bytes were given to a visitor who does not read`);
  });
});
