// What /diag/system tells of the machine, in cloudflared's words: sizes in KiB. What cannot be found out is an error beside the
// rest. Source: docs/protocol/commands-and-api.md §13.

import { readFile, statfs } from 'node:fs/promises';
import { arch, freemem, hostname, release, totalmem, type, version } from 'node:os';
import { describeError, PosternError } from '../errors/error.ts';
import { withDeadline } from '../net/time/deadline.ts';

interface Disk {
  readonly name: string;
  readonly sizeMaximum: number;
  readonly sizeCurrent: number;
}

/** A disk that does not answer, such as a dead network share, is left out. */
const diskTimeoutMs = 2_000;
const maxDisks = 64;
/** File systems that something on this machine, or its memory, stands behind. */
const localDisk =
  /^(ext[234]|xfs|btrfs|zfs|tmpfs|devtmpfs|overlay|vfat|exfat|ntfs3?|f2fs|squashfs|bcachefs|jfs|ubifs)$/;

export async function systemInformation(posternVersion: string): Promise<unknown> {
  const errors: Record<string, string> = {};
  const tell = async <T>(part: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      errors[part] = describeError(error);
      return undefined;
    }
  };
  const descriptors = await tell('fileDescriptors', readDescriptors);
  const info = {
    memoryMaximum: kibi(totalmem()),
    memoryCurrent: kibi(totalmem() - (await availableBytes())),
    fileDescriptorMaximum: descriptors?.maximum,
    fileDescriptorCurrent: descriptors?.current,
    osSystem: type(),
    hostName: hostname(),
    osVersion: release(),
    osRelease: version(),
    architecture: goMachines[arch()] ?? arch(),
    cloudflaredVersion: `postern ${posternVersion}`,
    goVersion: `node ${process.version}`,
    goArch: goNames[arch()] ?? arch(),
    disk: (await tell('disk', readDisks)) ?? [],
  };
  return { info, errors };
}

const goMachines: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
const goNames: Readonly<Record<string, string>> = { x64: 'amd64' };

/** What the kernel says could be had; elsewhere what is free. */
async function availableBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'latin1').catch(() => '');
  const found = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return found === undefined ? freemem() : Number(found) * 1_024;
}

/** Of the whole machine. */
async function readDescriptors(): Promise<{ maximum: number; current: number } | undefined> {
  if (process.platform !== 'linux') return undefined;
  const [current, , maximum] = (await readFile('/proc/sys/fs/file-nr', 'latin1')).trim().split('\t').map(Number);
  // The kernel's "no limit" is more than numbers hold exactly.
  return { maximum: Math.min(maximum ?? 0, Number.MAX_SAFE_INTEGER), current: current ?? 0 };
}

async function readDisks(): Promise<readonly Disk[]> {
  const mounts = process.platform === 'linux' ? await readMounts() : [{ name: '/', path: '/' }];
  const disks = await Promise.all(mounts.slice(0, maxDisks).map(mount => readDisk(mount).catch(() => undefined)));
  return disks.filter(disk => disk !== undefined && disk.sizeMaximum > 0) as Disk[];
}

/** One for each device and type. */
async function readMounts(): Promise<readonly { name: string; path: string }[]> {
  const byDevice = new Map<string, { name: string; path: string }>();
  for (const line of (await readFile('/proc/self/mounts', 'utf8')).split('\n')) {
    const [name, path, kind] = line.split(' ');
    if (name === undefined || path === undefined || kind === undefined || !localDisk.test(kind)) continue;
    const key = name.startsWith('/') ? name : path;
    if (!byDevice.has(key)) byDevice.set(key, { name, path: path.replace(/\\040/g, ' ') });
  }
  return [...byDevice.values()];
}

async function readDisk({ name, path }: { name: string; path: string }): Promise<Disk> {
  const late = (): PosternError => new PosternError('health.failed', `${path} does not answer`);
  const { bsize, bfree, blocks } = await withDeadline(statfs(path), diskTimeoutMs, late);
  return { name, sizeMaximum: kibi(blocks * bsize), sizeCurrent: kibi((blocks - bfree) * bsize) };
}

function kibi(bytes: number): number {
  return Math.round(bytes / 1_024);
}
