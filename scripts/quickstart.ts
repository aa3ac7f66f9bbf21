// `npm run quickstart`: an edge on loopback, an origin, a quick tunnel to it, and one request through all of it, with the
// real program in its own processes. `--url URL` publishes a service of the user's, `--once` ends after the first answer,
// `--protocol http2|quic` fixes the transport.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const entry = join(dirname(fileURLToPath(import.meta.url)), '..', 'cmd', 'postern.js');
/** Ports a person would guess; others are taken when they are in use. */
const wanted = { http: 8080, connectors: 7844, api: 7845, origin: 3000 } as const;
const startTimeoutMs = 30_000;

interface Hop {
  readonly name: string;
  readonly ms: number;
}

/** What the built-in origin saw of the one request, in milliseconds of `performance.now()`. */
const seen = { arrivedMs: 0, answeredMs: 0 };
/** Home of the parts: an edge of the user's, and what commands know of it, stay as they are. */
const home = mkdtempSync(join(tmpdir(), 'postern-quickstart-'));
const { POSTERN_STATE_DIR: _ofTheUser, ...environment } = process.env;
const children: ChildProcess[] = [];
let origin: Server | undefined;
let stopping = false;
/** Rejects when a part of this ends before it was told to. */
const died = Promise.withResolvers<never>();
/** As many last lines of a part that died are shown. */
const lastWords = 10;
/** Of what a part writes so much is kept: a start writes a tenth of it. */
const maxTextLength = 64 * 1024;

const usage = `npm run quickstart -- [--url URL] [--protocol http2|quic] [--once]

An edge on loopback, a hello-world origin, a quick tunnel to it, and one request through all of it.
  --url URL        publish this service instead, such as http://localhost:3000
  --protocol NAME  http2 or quic between connector and edge; by default what works
  --once           end after the first answer`;
const values = readOptions();

if (values?.help === true) {
  console.log(usage);
  await stop();
} else if (values === undefined) {
  process.exitCode = 64;
  await stop();
} else {
  try {
    await Promise.race([main(values), died.promise]);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
    await stop();
  }
}

interface Options {
  readonly help: boolean;
  readonly once: boolean;
  readonly url?: string;
  readonly protocol?: string;
}

/** Undefined after telling what is wrong. */
function readOptions(): Options | undefined {
  try {
    const options = {
      help: { type: 'boolean', short: 'h', default: false },
      once: { type: 'boolean', default: false },
      url: { type: 'string' },
      protocol: { type: 'string' },
    } as const;
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    return undefined;
  }
}

async function main(values: Options): Promise<void> {
  const target = values.url ?? (await startOrigin());
  const edge = start('edge', ['edge', 'run', '--output', 'json', '--https-port', '-1', ...(await edgePorts())]);
  const api = await edge.logged(/"url":"(http:\/\/[^"]+)\/client\/v4"/);
  await edge.logged(/"message":"Edge ready"/);
  console.log(`Edge:   on loopback, API at ${api}`);
  const protocol = values.protocol === undefined ? [] : ['--protocol', values.protocol];
  const tunnel = start('connector', [
    ...['tunnel', '--url', target, '--quick-service', api, '--output', 'json', ...protocol],
  ]);
  const publicUrl = await tunnel.printed(/^(https?:\/\/\S+) ⟶ /m);
  const carrier = await tunnel.logged(
    /"protocol":"(\w+)","message":"Registered tunnel connection"|"message":"Registered tunnel connection"/,
  );
  console.log(`${publicUrl} ⟶ ${target}`);
  await report(publicUrl, carrier);
  if (!values.once) {
    const asked = Promise.withResolvers<void>();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => asked.resolve());
    console.log('Serving until Ctrl-C.');
    await asked.promise;
  }
  await stop();
}

/** The hello-world origin; on port 3000 when that is free. */
async function startOrigin(): Promise<string> {
  origin = createServer((message, response) => {
    seen.arrivedMs = performance.now();
    response.once('finish', () => {
      seen.answeredMs = performance.now();
    });
    response.end(`Hello from the origin. You asked ${message.headers.host} for ${message.url}.\n`);
  });
  const port = await freePort(wanted.origin);
  await new Promise<void>(resolve => origin?.listen(port, '127.0.0.1', resolve));
  const url = `http://localhost:${(origin.address() as AddressInfo).port}`;
  console.log(`Origin: a hello-world server at ${url}`);
  return url;
}

async function edgePorts(): Promise<string[]> {
  const [http, connectors, api] = await Promise.all([
    freePort(wanted.http),
    freePort(wanted.connectors),
    freePort(wanted.api),
  ]);
  return ['--http-port', String(http), '--connector-port', String(connectors), '--api', `127.0.0.1:${api}`];
}

/** `port` when nobody listens there, else 0: any. */
function freePort(port: number): Promise<number> {
  return new Promise(resolve => {
    const probe = createTcpServer();
    probe.once('error', () => resolve(0));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(port)));
  });
}

interface Running {
  logged(pattern: RegExp): Promise<string>;
  printed(pattern: RegExp): Promise<string>;
}

/** Starts `postern ARGS` as the part `name`; the program's log is shown only when it fails. */
function start(name: string, args: readonly string[]): Running {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, ...args], {
    env: { ...environment, HOME: home, USERPROFILE: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const texts = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].on('data', (chunk: Buffer) => {
      texts[stream] = (texts[stream] + chunk.toString()).slice(-maxTextLength);
      for (const look of watchers) look();
    });
  }
  child.once('close', (code, signal) => {
    const said = texts.stderr.trimEnd().split('\n').slice(-lastWords).join('\n');
    if (!stopping) died.reject(new Error(`The ${name} ended by itself (${signal ?? `exit code ${code}`}):\n${said}`));
    for (const look of watchers) look();
  });
  const find = (stream: 'stdout' | 'stderr', pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        clearTimeout(timer);
        watchers.delete(look);
        action();
      };
      const fail = (): void => reject(new Error(`The ${name} did not start:\n${texts.stderr}`));
      const look = (): void => {
        const match = pattern.exec(texts[stream]);
        if (match !== null) settle(() => resolve(match[1] ?? match[0]));
        else if (child.exitCode !== null || child.signalCode !== null) settle(fail);
      };
      const timer = setTimeout(() => settle(fail), startTimeoutMs);
      watchers.add(look);
      look();
    });
  return { logged: pattern => find('stderr', pattern), printed: pattern => find('stdout', pattern) };
}

/** One request through the tunnel: what came back, and where the time went. */
async function report(url: string, carrier: string): Promise<void> {
  const sent = performance.now();
  let connected = sent;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const { hostname, host, port, pathname } = new URL(url);
    // Browsers and curl take *.localhost for loopback by themselves (RFC 6761 §6.3); the system's resolver may not.
    const address = hostname.endsWith('.localhost') ? '127.0.0.1' : hostname;
    const call = httpRequest({ host: address, port, path: pathname, headers: { Host: host } }, resolve);
    call.once('socket', socket =>
      socket.once('connect', () => {
        connected = performance.now();
      }),
    );
    call.once('error', reject);
    call.setTimeout(startTimeoutMs, () =>
      call.destroy(new Error(`${url} did not answer within ${startTimeoutMs / 1000} s`)),
    );
    call.end();
  });
  let bytes = 0;
  let text = '';
  for await (const chunk of answer) {
    bytes += (chunk as Buffer).length;
    if (text.length < 200) text += (chunk as Buffer).toString();
  }
  const done = performance.now();
  console.log(
    `Answer: ${answer.statusCode} ${answer.statusMessage}, ${bytes} bytes over ${carrier}: ${JSON.stringify(text.slice(0, 100))}`,
  );
  const hops: Hop[] = [{ name: 'visitor → edge', ms: connected - sent }];
  if (seen.arrivedMs > 0) {
    hops.push({ name: 'edge → connector → origin', ms: seen.arrivedMs - connected });
    hops.push({ name: 'origin', ms: seen.answeredMs - seen.arrivedMs });
    hops.push({ name: 'origin → connector → edge → visitor', ms: done - seen.answeredMs });
  } else hops.push({ name: 'edge → connector → origin and back', ms: done - connected });
  for (const hop of hops) console.log(`  ${hop.name.padEnd(36)} ${Math.max(0, hop.ms).toFixed(1).padStart(7)} ms`);
  console.log(`  ${'in all'.padEnd(36)} ${(done - sent).toFixed(1).padStart(7)} ms`);
  if ((answer.statusCode ?? 500) >= 500) throw new Error(`The request failed: ${text.trim()}`);
}

/** Ends the connector first, so that it unregisters, then the edge and the origin. */
async function stop(): Promise<void> {
  stopping = true;
  for (const child of children.reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = new Promise(resolve => child.once('close', resolve));
    child.kill('SIGTERM');
    await ended;
  }
  origin?.close();
  origin?.closeAllConnections();
  rmSync(home, { recursive: true, force: true });
}
