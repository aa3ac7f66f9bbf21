// `npm run release-keys`: the keys behind `postern update`. Roots vouch for signing keys; signing keys sign lists of releases.
//   npm run release-keys -- make FILE                        a key: FILE, the secret, and FILE.pub
//   npm run release-keys -- certify --root FILE --output OUT [--days 365] FILE.pub …
// Keep the roots' secrets away from every machine that builds; a build needs a signing key, OUT and the roots' .pub.

import { generateKeyPairSync } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createPrivateFile } from '../internal/credentials/private-file.ts';
import { publicKeyText } from '../internal/update/signed-text.ts';
import { certifyKeys, readPrivateKey, readPublicKey } from './package/releases.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    root: { type: 'string', multiple: true, default: [] },
    output: { type: 'string' },
    days: { type: 'string', default: '365' },
  },
});
const [verb, ...files] = positionals;
const days = Number(values.days);
if (verb === 'make' && files.length === 1) make(files[0] ?? '');
else if (verb === 'certify' && files.length > 0 && values.root.length > 0 && values.output !== undefined && days > 0)
  certify(values.output);
else {
  console.error('npm run release-keys -- make FILE, or -- certify --root FILE --output OUT [--days 365] FILE.pub …');
  process.exit(64);
}

function make(path: string): void {
  const { privateKey } = generateKeyPairSync('ed25519');
  write(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600);
  write(`${path}.pub`, `${publicKeyText(privateKey)}\n`, 0o644);
}

function certify(output: string): void {
  const signed = certifyKeys(values.root.map(readPrivateKey), files.map(readPublicKey), days);
  write(output, `${JSON.stringify(signed)}\n`, 0o644);
}

function write(path: string, text: string, mode: number): void {
  if (!createPrivateFile(path, text, mode)) {
    console.error(`${path} is there already, and is left as it is`);
    process.exit(1);
  }
  console.log(`Wrote ${path}`);
}
