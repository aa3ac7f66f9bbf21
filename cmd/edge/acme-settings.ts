// The flags of `edge run` about public certificates, as settings. Source: docs/https.md.

import { readSecretFile } from '../../internal/credentials/secret-file.ts';
import type { AcmeOptions } from '../../internal/edge/options.ts';
import { PosternError } from '../../internal/errors/error.ts';
import { maxPemBytes, readText } from '../../internal/net/file/read-text.ts';
import type { CommandContext } from '../context.ts';
import { parseListen } from '../parse-listen.ts';
import { resolvePath } from '../resolve-path.ts';

export interface AcmeFlags {
  readonly acme: string | undefined;
  readonly acmeDirectory: string;
  readonly acmeCa: string | undefined;
  readonly acmeEabFile: string | undefined;
  readonly acmeDns: string | undefined;
  readonly acmeDnsHook: string | undefined;
}

/** Undefined without --acme. Throws 'usage.invalid', 'credentials.invalid' and 'config.invalid'. */
export async function readAcmeFlags(flags: AcmeFlags, context: CommandContext): Promise<AcmeOptions | undefined> {
  const { acme: contact, acmeCa, acmeDirectory, acmeDns, acmeDnsHook, acmeEabFile } = flags;
  if (contact === undefined) {
    const others = {
      ...{ '--acme-ca': acmeCa, '--acme-eab-file': acmeEabFile },
      ...{ '--acme-dns': acmeDns, '--acme-dns-hook': acmeDnsHook },
    };
    const lonely = Object.entries(others).find(([, value]) => value !== undefined)?.[0];
    if (lonely !== undefined)
      throw new PosternError(
        'usage.invalid',
        `${lonely} is for --acme, which is missing: give your mail address there.`,
      );
    return undefined;
  }
  if (acmeDns !== undefined && acmeDnsHook !== undefined)
    throw new PosternError('usage.invalid', '--acme-dns and --acme-dns-hook exclude each other: give one of both.');
  if (!/^[^\s@,?]+@[^\s@,?]+$/.test(contact))
    throw new PosternError('usage.invalid', `--acme ${JSON.stringify(contact)} is not a mail address.`);
  if (URL.parse(acmeDirectory)?.protocol !== 'https:')
    throw new PosternError(
      'usage.invalid',
      `--acme-directory ${JSON.stringify(acmeDirectory)} is not an https:// URL.`,
    );
  return {
    dns: acmeDns === undefined ? undefined : parseListen(acmeDns, 'acme-dns'),
    dnsHook: acmeDnsHook === undefined ? undefined : resolvePath(acmeDnsHook, context),
    authority: {
      directoryUrl: acmeDirectory,
      contact,
      caPem: acmeCa === undefined ? undefined : await readCa(resolvePath(acmeCa, context)),
      external: acmeEabFile === undefined ? undefined : readExternalAccount(resolvePath(acmeEabFile, context)),
    },
  };
}

async function readCa(path: string): Promise<string> {
  try {
    return await readText(path, maxPemBytes);
  } catch (cause) {
    throw new PosternError('config.invalid', `Cannot read the file ${path} of --acme-ca`, { cause });
  }
}

function readExternalAccount(path: string) {
  const text = readSecretFile(path, 'The file of --acme-eab-file');
  if (text === undefined) throw new PosternError('config.invalid', `There is no file ${path} of --acme-eab-file`);
  const [keyId = '', key = '', ...rest] = text.split('\n').flatMap(line => line.trim() || []);
  if (!/^[A-Za-z0-9+/_-]{16,}=*$/.test(key) || rest.length > 0)
    throw new PosternError(
      'config.invalid',
      `${path} must hold two lines, the key id and the key in base64url, as the authority shows them`,
    );
  return { keyId, macKey: Buffer.from(key, 'base64url') };
}
