// Signatures of repositories, by GnuPG: with a key of the user's GNUPGHOME, a key from a file, or one made for a test. A key is
// never made unasked. Signatures bear the time of the commit, or of the key where that is later, so that two are equal.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Which key signs. */
export type KeyChoice =
  /** A fingerprint, id or address in GNUPGHOME. */
  | { readonly kind: 'home'; readonly key: string }
  /** An exported secret key. */
  | { readonly kind: 'file'; readonly path: string; readonly passphraseFile: string | undefined }
  /** Made now, gone at the end. */
  | { readonly kind: 'test' };

export interface Signer extends Disposable {
  /** Forty hexadecimal digits. */
  readonly fingerprint: string;
  /** The public key, as gpg's armour. */
  readonly publicKey: string;
  /** Writes `<path>` with a signature around its text to `output`. */
  signText(path: string, output: string): void;
  /** Writes a signature of the file to `output`, as armour. */
  signDetached(path: string, output: string): void;
  /** Signs packages in place. */
  signRpms(paths: readonly string[]): void;
}

/** `epoch` in seconds. Throws when gpg cannot find, read or use the key; the message is gpg's. */
export function openSigner(choice: KeyChoice, epoch: number): Signer {
  const own = choice.kind === 'home' ? undefined : mkdtempSync(join(tmpdir(), 'postern-gpg-'));
  const home = own === undefined ? [] : ['--homedir', own];
  const passphrase =
    choice.kind === 'file' && choice.passphraseFile !== undefined ? resolve(choice.passphraseFile) : undefined;
  const unlock = passphrase === undefined ? [] : ['--pinentry-mode', 'loopback', '--passphrase-file', passphrase];
  const gpg = (...args: readonly string[]): string =>
    execFileSync('gpg', [...home, '--batch', '--yes', '--no-tty', ...unlock, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const close = (): void => {
    if (own === undefined) return;
    try {
      execFileSync('gpgconf', ['--homedir', own, '--kill', 'all'], { stdio: 'ignore' });
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
  };
  try {
    if (own !== undefined) chmodSync(own, 0o700);
    if (choice.kind === 'file') gpg('--import', resolve(choice.path));
    if (choice.kind === 'test') makeTestKey(gpg, epoch);
    const wanted = choice.kind === 'home' ? [choice.key] : [];
    const listed = gpg('--with-colons', '--list-secret-keys', ...wanted);
    const fingerprint = /^fpr:(?:[^:]*:){8}([0-9A-F]{40}):/m.exec(listed)?.[1];
    const created = Number(/^sec:(?:[^:]*:){4}(\d+):/m.exec(listed)?.[1]);
    if (fingerprint === undefined || !Number.isFinite(created)) throw new Error('gpg lists no secret key');
    const signing = ['--local-user', fingerprint, '--digest-algo', 'SHA512', ...at(Math.max(epoch, created + 1))];
    return {
      fingerprint,
      publicKey: gpg('--armor', '--export', fingerprint),
      signText: (path, output) => void gpg(...signing, '--output', output, '--clearsign', path),
      signDetached: (path, output) => void gpg(...signing, '--output', output, '--armor', '--detach-sign', path),
      signRpms(paths) {
        const words = [...unlock, ...at(Math.max(epoch, created + 1))].join(' ');
        const defines = [
          `_gpg_name ${fingerprint}`,
          '__gpg /usr/bin/gpg',
          ...(own === undefined ? [] : [`_gpg_path ${own}`]),
          `_gpg_sign_cmd_extra_args ${words}`,
          '_gpg_digest_algo sha512',
        ];
        execFileSync('rpmsign', [...defines.flatMap(text => ['--define', text]), '--addsign', ...paths], {
          stdio: ['ignore', 'ignore', 'pipe'],
        });
      },
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** gpg's clock, standing still. */
function at(seconds: number): string[] {
  return ['--faked-system-time', `${seconds}!`];
}

/** RSA, which every dnf and apt in use can check. */
function makeTestKey(gpg: (...args: readonly string[]) => string, epoch: number): void {
  const user = 'Postern test key, not for publishing <test@example.invalid>';
  gpg(...at(epoch), '--passphrase', '', '--quick-generate-key', user, 'rsa3072', 'sign', 'never');
}
