// A running edge for third-party clients of its API, and what a request of them needs: address, token, account and zone.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { readEdgePointer } from '../../internal/credentials/edge-pointer.ts';
import { type OriginCert, parseOriginCert } from '../../internal/credentials/origin-cert.ts';
import { listen } from '../support/origin-server.ts';
import { type Program, startProgram, temporaryDirectory } from '../support/program.ts';

export interface V4World {
  readonly apiUrl: string;
  readonly cert: OriginCert;
  /** `http://…` of a service that answers with the path it was asked for. */
  readonly origin: string;
  /** Starts a connector by its token. */
  connect(token: string, connections: number): Program;
  /** The status that a visitor gets, and the body. */
  visit(host: string): Promise<string>;
}

export async function openV4World(t: TestContext): Promise<V4World> {
  const home = await temporaryDirectory(t);
  const originPort = await listen(
    t,
    createServer((message, response) => void response.end(`served ${message.url}`)),
  );
  const ports = ['--connector-port', '0', '--http-port', '0', '--https-port', '-1', '--api', '127.0.0.1:0'];
  const edge = startProgram(
    t,
    ['edge', 'run', ...ports, '--domain', 'example.test', '--name', '127.0.0.1', '--grace-period', '1s'],
    { home },
  );
  const [, httpPort] = await edge.logged(/Listening for HTTP visitors address=\S+?:(\d+)/);
  await edge.logged(/Edge ready/);
  const pointer = readEdgePointer(join(home, '.postern')) ?? assert.fail('the edge left no pointer');
  return {
    apiUrl: pointer.apiUrl,
    cert: parseOriginCert(await readFile(join(pointer.stateDir, 'cert.pem'), 'utf8')),
    origin: `http://127.0.0.1:${originPort}`,
    connect: (token, connections) =>
      startProgram(
        t,
        [
          ...['tunnel', '--metrics', '127.0.0.1:0', '--grace-period', '1s', '--protocol', 'http2'],
          ...['--ha-connections', String(connections), 'run'],
        ],
        { home, env: { TUNNEL_TOKEN: token } },
      ),
    visit: host =>
      new Promise((resolve, reject) => {
        const headers = { Host: host };
        const sent = request({ host: '127.0.0.1', port: httpPort, path: '/path', headers, agent: false }, response => {
          let text = '';
          response.on('data', piece => (text += String(piece)));
          response.once('end', () => resolve(`${response.statusCode} ${text}`));
        });
        sent.once('error', reject).end();
      }),
  };
}
