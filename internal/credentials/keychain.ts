// Credentials of tunnels in the keychain of the user: the Secret Service on Linux, the Keychain of macOS, the Credential Manager
// of Windows. Each is one entry, the text of a credentials file, under the service `postern` and the tunnel's id. The package
// that talks to them is loaded by the first call. On Linux the store is named: by itself the package falls back to the
// kernel's keyring, which forgets everything at a restart.

import { describeError, PosternError } from '../errors/error.ts';
import type { TunnelId } from '../schema/api/id.ts';
import { encodeCredentials, parseCredentials, type TunnelCredentials } from './tunnel-credentials.ts';
import type { TunnelToken } from './tunnel-token.ts';

const service = 'postern';
/** A locked keychain asks its user, who may need a while to find the password. */
const answerTimeoutMs = 120_000;

/** Undefined when the keychain has none of this tunnel. Throws 'unavailable' without a keychain, 'credentials.invalid'. */
export async function readKeychain(tunnelId: TunnelId): Promise<TunnelCredentials | undefined> {
  const text = await withEntry(tunnelId, (entry, signal) => entry.getPassword(signal));
  return text === null ? undefined : parseCredentials(text, `The keychain's entry ${tunnelId} (service ${service})`);
}

/** Replaces an entry of that tunnel. Throws 'unavailable' without a keychain. */
export async function writeKeychain(credentials: TunnelToken): Promise<void> {
  const text = encodeCredentials(credentials);
  await withEntry(credentials.tunnelId, (entry, signal) => entry.setPassword(text, signal));
}

/** Whether there was one. Throws 'unavailable' without a keychain. */
export function removeKeychain(tunnelId: TunnelId): Promise<boolean> {
  return withEntry(tunnelId, (entry, signal) => entry.deletePassword(signal));
}

type Entry = import('@napi-rs/keyring').AsyncEntry;

async function withEntry<T>(tunnelId: TunnelId, use: (entry: Entry, signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(answerTimeoutMs);
  try {
    const { AsyncEntry } = await import('@napi-rs/keyring');
    return await use(new AsyncEntry(service, tunnelId, { linux: { store: 'secret-service' } }), signal);
  } catch (cause) {
    const why = signal.aborted ? `it did not answer within ${answerTimeoutMs / 1_000} s` : describeError(cause);
    throw new PosternError(
      'unavailable',
      `The keychain of this user cannot be used: ${why}. It needs ${needs[process.platform] ?? 'a desktop session'}; ` +
        'without one keep credentials in files: --credential-store file',
    );
  }
}

const needs: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  linux: 'a D-Bus session with a Secret Service that is unlocked, such as GNOME Keyring or KeePassXC',
  darwin: 'a login session whose keychain is unlocked',
  win32: 'a user who is logged on',
};
