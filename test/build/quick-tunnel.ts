// A quick tunnel through two processes of a built program: an edge, a connector, and one request of a visitor.

import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type ChildOptions, type ChildProgram, startChild } from '../support/child-program.ts';
import { until } from '../support/wait.ts';

export interface QuickTunnelInputs extends ChildOptions {
  /** The words that start the program. */
  readonly program: readonly string[];
  /** The edge's state directory, as the program sees it. */
  readonly stateDirectory: string;
  readonly protocol: 'quic' | 'http2';
}

export interface QuickTunnelResult {
  readonly status: number;
  readonly body: string;
  readonly edge: ChildProgram;
  readonly connector: ChildProgram;
}

/** Everything is stopped when it returns. */
export async function throughQuickTunnel(inputs: QuickTunnelInputs): Promise<QuickTunnelResult> {
  const { program, stateDirectory, protocol } = inputs;
  await using closing = new AsyncDisposableStack();
  const origin = createServer((request, response) => response.end(`origin saw ${request.url}`));
  await new Promise<void>(resolve => origin.listen(0, '127.0.0.1', resolve));
  closing.defer(() => {
    origin.closeAllConnections();
    origin.close();
  });
  const { port } = origin.address() as AddressInfo;
  const ports = ['--http-port', '0', '--https-port', '-1', '--connector-port', '0', '--api', '127.0.0.1:0'];
  const edge = closing.use(startChild([...program, 'edge', 'run', '--state-dir', stateDirectory, ...ports], inputs));
  await edge.logged(/Edge ready/);
  const [, api = ''] = await edge.logged(/Listening for API calls url=(http:\/\/[^/\s]+)/);
  const [, httpPort = ''] = await edge.logged(/Listening for HTTP visitors address=\S+?:(\d+)/);
  const connector = closing.use(
    startChild(
      [
        ...[...program, 'tunnel', '--url', `http://127.0.0.1:${port}`, '--quick-service', api],
        ...['--protocol', protocol, '--grace-period', '1s', '--metrics', '127.0.0.1:0'],
      ],
      inputs,
    ),
  );
  await connector.logged(new RegExp(`Registered tunnel connection.*protocol=${protocol}`));
  const shown = (): RegExpExecArray | null => /^https?:\/\/(\S+?)(?::\d+)? ⟶ /m.exec(connector.output());
  await until('the public address', () => shown() !== null);
  const host = shown()?.[1] ?? '';
  const { status, body } = await visit(Number(httpPort), host);
  return { status, body, edge, connector };
}

/** Asks for `/hello` under a host name that no resolver need know. */
async function visit(port: number, host: string): Promise<{ readonly status: number; readonly body: string }> {
  const [response] = await once(get({ host: '127.0.0.1', port, path: '/hello', headers: { Host: host } }), 'response');
  const message = response as IncomingMessage;
  return { status: message.statusCode ?? 0, body: await text(message) };
}
