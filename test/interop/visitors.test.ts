// Visitors of other makes through a real edge and connector: curl, nginx as a proxy in front of the edge, Python's clients.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import { haveCommand } from '../support/debian-package.ts';
import { haveTools } from '../support/tools.ts';
import { until, within } from '../support/wait.ts';
import { pythonWith } from './python-peer.ts';
import { big } from './visited-origin.ts';
import { openVisitorWorld, type VisitorWorld, visitorName } from './visitor-world.ts';

const run = promisify(execFile);
const protocols = ['http2', 'quic'] as const;
const here = dirname(fileURLToPath(import.meta.url));

describe('curl', () => {
  for (const protocol of protocols) {
    it(`over HTTP/1.1 and HTTP/2, encrypted and not, through a connector over ${protocol}`, async t => {
      if (!(await haveTools(t, 'curl'))) return;
      const { world, directory, caFile } = await openVisitorWorld(t, protocol);
      const bigFile = join(directory, 'big');
      await writeFile(bigFile, big);
      const ways = [
        ['--http1.1', 'http', world.httpPort, '1.1'],
        ['--http2-prior-knowledge', 'http', world.httpPort, '2'],
        ['--http2', 'http', world.httpPort, '1.1'],
        ['--http1.1', 'https', world.httpsPort, '1.1'],
        ['--http2', 'https', world.httpsPort, '2'],
      ] as const;
      for (const [version, scheme, port, spoken] of ways) {
        const base = `${scheme}://${visitorName}:${port}`;
        const curl = async (...args: string[]): Promise<Buffer> => {
          const all = ['-sS', '--fail', '--noproxy', '*', version, '--cacert', caFile];
          const { stdout } = await run('curl', [...all, '--resolve', `${visitorName}:${port}:127.0.0.1`, ...args], {
            encoding: 'buffer',
            maxBuffer: 64 << 20,
            timeout: 60_000,
          });
          return stdout;
        };
        const what = `${version} ${scheme}`;
        assert.ok((await curl(`${base}/big`)).equals(big), what);
        assert.ok((await curl('-T', bigFile, `${base}/echo`)).equals(big), what);
        assert.ok(
          (await curl('-H', 'Transfer-Encoding: chunked', '-d', `@${bigFile}`, `${base}/echo`)).length > 0,
          what,
        );
        assert.match((await curl('-I', `${base}/big`)).toString(), /content-length: 1048576/i);
        assert.equal((await curl('-w', '%{http_version}', '-o', '/dev/null', `${base}/none`)).toString(), spoken, what);
        assert.equal((await curl('-X', 'PROPFIND', `${base}/method`)).toString(), 'PROPFIND', what);
        assert.equal((await curl(`${base}/m\u00e9thod`)).toString(), 'GET', what);
        assert.equal((await curl('-N', `${base}/events`)).toString(), 'data: 1\n\ndata: 2\n\ndata: 3\n\n', what);
        // curl 7.88 cannot use such a connection twice, with any server.
        if (version === '--http2-prior-knowledge') continue;
        assert.equal((await curl('-L', `${base}/moved`)).toString(), 'GET', what);
        // Many at once, over as few connections as it can.
        assert.equal((await curl('-Z', `${base}/method?[1-60]`)).length, 60 * 3, what);
      }
    });
  }
});

/** nginx in front of the edge, as its documentation has it for WebSockets and kept connections; the path of its socket. */
async function openNginx(t: TestContext, { world, directory }: VisitorWorld): Promise<string> {
  const path = join(directory, 'nginx.sock');
  const config = `
    ${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
    events { worker_connections 512; }
    http {
      access_log off; client_max_body_size 0;
      client_body_temp_path ${directory}/a; proxy_temp_path ${directory}/b; fastcgi_temp_path ${directory}/c;
      uwsgi_temp_path ${directory}/d; scgi_temp_path ${directory}/e;
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      upstream edge { server 127.0.0.1:${world.httpPort}; keepalive 4; }
      server {
        listen unix:${path};
        location / {
          proxy_pass http://edge; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
          proxy_set_header Host ${visitorName}; proxy_set_header X-Forwarded-For 192.0.2.7;
          proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
        }
        location /old/ { proxy_pass http://edge/; proxy_set_header Host ${visitorName}; }
      }
    }`;
  const file = join(directory, 'nginx.conf');
  await writeFile(file, config);
  const child = spawn('nginx', ['-p', directory, '-e', join(directory, 'error.log'), '-c', file], {
    env: { PATH: `${process.env.PATH}:/usr/sbin` },
    stdio: 'ignore',
  });
  t.after(async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await within('nginx to end', once(child, 'exit'));
  });
  await until('nginx', async () => {
    const socket = connect(path);
    const is = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    return is;
  });
  return path;
}

describe('nginx in front of the edge', () => {
  for (const protocol of protocols) {
    it(`keeps connections, passes bodies, events and WebSockets, through a connector over ${protocol}`, async t => {
      if (!haveCommand('nginx', ['nginx-light']) && !haveCommand('/usr/sbin/nginx', ['nginx-light'])) {
        t.skip('nginx is not here and could not be installed (package nginx-light)');
        return;
      }
      const visited = await openVisitorWorld(t, protocol);
      const socketPath = await openNginx(t, visited);
      const agent = new Agent({ keepAlive: true, maxSockets: 8 });
      t.after(() => agent.destroy());
      const ask = (method: string, path: string, body?: Buffer): Promise<{ status: number; body: Buffer }> =>
        new Promise((resolve, reject) => {
          const call = request({ socketPath, method, path, agent }, (response: IncomingMessage) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject);
            response.once('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
          });
          call.once('error', reject).end(body);
        });
      for (const prefix of ['', '/old']) {
        assert.ok((await ask('GET', `${prefix}/big`)).body.equals(big));
        assert.ok((await ask('POST', `${prefix}/echo`, big)).body.equals(big));
        assert.equal((await ask('HEAD', `${prefix}/big`)).status, 200);
        assert.equal((await ask('GET', `${prefix}/none`)).status, 204);
        assert.equal((await ask('GET', `${prefix}/events`)).body.toString(), 'data: 1\n\ndata: 2\n\ndata: 3\n\n');
        const many = await Promise.all(Array.from({ length: 200 }, () => ask('GET', `${prefix}/method`)));
        assert.ok(many.every(({ status, body }) => status === 200 && body.toString() === 'GET'));
      }
      const socket = new WebSocket(`ws+unix:${socketPath}:/socket`);
      t.after(() => socket.terminate());
      await once(socket, 'open');
      for (const text of ['one', 'two', 'x'.repeat(100_000)]) {
        socket.send(text);
        const [data] = (await once(socket, 'message')) as [Buffer];
        assert.equal(data.toString(), text);
      }
      socket.close(1000);
      const [code] = await once(socket, 'close');
      assert.equal(code, 1000);
    });
  }
});

describe("Python's clients", () => {
  for (const protocol of protocols) {
    it(`http.client, urllib and httpx, through a connector over ${protocol}`, async t => {
      const python = await pythonWith('httpx[http2]', '0.28.1');
      const { world, caFile } = await openVisitorWorld(t, protocol);
      const ports = [String(world.httpPort), String(world.httpsPort)];
      const { stdout } = await run(python, [join(here, 'visitors.py'), visitorName, ...ports, caFile], {
        timeout: 90_000,
      });
      assert.match(stdout, /all good/);
    });
  }
});
