// nginx as the origin and as the plain proxies that our programs are compared with, for HTTP, TCP and UDP: one worker each,
// no logs, no temporary files. Installs Debian's nginx-light and libnginx-mod-stream when they are missing.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Contender, OriginPorts } from './contender.ts';
import { freePort } from './free-port.ts';
import { bulkBytes, paths, smallBody } from './requests.ts';

export interface Nginx extends AsyncDisposable {
  readonly port: number;
  /** The master; its worker is its child. */
  readonly pid: number;
  close(): Promise<void>;
}

/** Path of the program, installed if need be. Throws with what to do by hand. */
export function ensureNginx(): string {
  const found = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/sbin/nginx'].find(path => existsSync(path));
  if (found !== undefined) return found;
  install('nginx-light');
  return '/usr/sbin/nginx';
}

/** The line that loads nginx's stream module, installed if need be; empty where it is built in. Throws as `ensureNginx`. */
function ensureStream(program: string): string {
  const { stderr } = spawnSync(program, ['-V'], { encoding: 'utf8' });
  if (/--with-stream(\s|$)/.test(stderr)) return '';
  const module = '/usr/lib/nginx/modules/ngx_stream_module.so';
  if (!existsSync(module)) install('libnginx-mod-stream');
  return `load_module ${module};`;
}

function install(name: string): void {
  console.error(`Installing ${name} with apt-get (once).`);
  // Run level 1 keeps the package from starting a server of its own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const args of [
    ['-qq', 'update'],
    ['-qq', '-y', '--no-install-recommends', 'install', name],
  ]) {
    const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status !== 0)
      throw new Error(`apt-get ${args.join(' ')} failed; install ${name} by hand.\n${stderr ?? 'no apt-get here'}`);
  }
}

/** Serves a small and a large file from `directory`. */
export async function openNginxOrigin(program: string, directory: string): Promise<Nginx> {
  const files = join(directory, 'files');
  await mkdir(files, { recursive: true });
  await writeFile(join(files, paths.small), smallBody);
  await writeFile(join(files, paths.down), Buffer.alloc(bulkBytes, 'postern '));
  return openHttp(
    program,
    directory,
    port => `
    open_file_cache max=8;
    server {
      listen 127.0.0.1:${port};
      root ${files};
      types { text/plain txt; }
    }`,
  );
}

/**
 * One reverse proxy for HTTP, plain TCP and nothing else. TCP buffers of 64 KiB, as Node reads; nginx's own default of 16 KiB
 * costs it more.
 */
export async function openNginxContender(
  program: string,
  directory: string,
  origins: OriginPorts,
  visitors: 'http1' | 'http2',
): Promise<Contender> {
  const [down, up] = [await freePort(), await freePort()];
  const nginx = await openHttp(
    program,
    directory,
    port => `
    upstream origin { server 127.0.0.1:${origins.http}; keepalive 256; keepalive_requests 1000000000; }
    upstream sink { server 127.0.0.1:${origins.sink}; keepalive 256; keepalive_requests 1000000000; }
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    client_max_body_size 0;
    server {
      listen 127.0.0.1:${port};
      location / { proxy_pass http://origin; }
      location ${paths.up} { proxy_pass http://sink; }
    }`,
    `
stream {
  proxy_buffer_size 64k;
  server { listen 127.0.0.1:${down}; proxy_pass 127.0.0.1:${origins.tcpDown}; }
  server { listen 127.0.0.1:${up}; proxy_pass 127.0.0.1:${origins.tcpUp}; }
}`,
  );
  return {
    name: 'nginx',
    processes: [{ role: 'proxy', pid: nginx.pid }],
    target: kind => {
      if (kind === 'tcp-down') return { via: 'tcp', port: down };
      if (kind === 'tcp-up') return { via: 'tcp', port: up };
      return visitors === 'http1' ? { via: 'http1', port: nginx.port } : undefined;
    },
    [Symbol.asyncDispose]: nginx[Symbol.asyncDispose],
  };
}

/** A UDP proxy to one port on loopback: a session for each of the client's ports, kept for the whole benchmark. */
export function openNginxUdpProxy(program: string, directory: string, originPort: number): Promise<Nginx> {
  // The TCP server of the same port number tells when nginx is there.
  return openNginx(
    program,
    directory,
    port => `
stream {
  server { listen 127.0.0.1:${port} udp rcvbuf=4m sndbuf=4m; proxy_pass 127.0.0.1:${originPort}; proxy_timeout 1h; }
  server { listen 127.0.0.1:${port}; return ""; }
}`,
    ensureStream(program),
  );
}

/** `stream`: a block of the stream module, or none. */
function openHttp(program: string, directory: string, http: (port: number) => string, stream = ''): Promise<Nginx> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return openNginx(
    program,
    directory,
    port => `
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  ${temporary.map(name => `${name}_temp_path ${directory}/${name};`).join(' ')}
  ${http(port)}
}${stream}`,
    stream === '' ? '' : ensureStream(program),
  );
}

/** `preamble` holds what nginx wants before everything else. */
async function openNginx(
  program: string,
  directory: string,
  blocks: (port: number) => string,
  preamble = '',
): Promise<Nginx> {
  const port = await freePort();
  await mkdir(directory, { recursive: true });
  const file = join(directory, 'nginx.conf');
  await writeFile(
    file,
    `${preamble}
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log;
events { worker_connections 4096; }
${blocks(port)}
`,
  );
  const child = spawn(program, ['-e', join(directory, 'error.log'), '-c', file, '-p', directory], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()));
  const ended = exited.then(() => Promise.reject(new Error(`nginx ended; see ${directory}/error.log`)));
  await Promise.race([untilAccepting(port), ended]);
  ended.catch(() => undefined);
  const close = (): Promise<void> => {
    child.kill('SIGTERM');
    return exited;
  };
  return { port, pid: child.pid ?? 0, close, [Symbol.asyncDispose]: close };
}

async function untilAccepting(port: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const accepted = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (accepted) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error(`nginx does not listen on port ${port}`);
}
