// Where the store is, from the command line and the environment. A password never stands in the command line, which every
// user of the machine can read. Source: docs/stores.md.

import type { Flag } from '../../internal/config/flag.ts';
import { readSecretFile } from '../../internal/credentials/secret-file.ts';
import { describeError, foreignCode, isPosternError, PosternError } from '../../internal/errors/error.ts';
import { hasPassword, isPostgresUrl, type StoreSource, sqliteSource } from '../../internal/store/open/store-source.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';

export const storePasswordFlag = {
  name: 'store-password-file',
  type: 'string',
  valueName: 'FILE',
  description: 'File with the password of the PostgreSQL user; else PGPASSWORD, or the file that PGPASSFILE names',
} as const satisfies Flag;

/**
 * `text`: a PostgreSQL URL, or a state directory. `inArguments`: whether it stood in the command line. Throws 'usage.invalid'
 * for a password there, 'config.invalid' and 'credentials.invalid' for a password file that cannot be used.
 */
export function resolveStore(
  text: string,
  { inArguments, passwordFile }: { inArguments: boolean; passwordFile: string | undefined },
  context: CommandContext,
): StoreSource {
  if (!isPostgresUrl(text)) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text))
      throw new PosternError(
        'usage.invalid',
        'The store is neither a directory nor a URL that begins with postgres://',
      );
    return sqliteSource(resolvePath(text, context));
  }
  if (inArguments && hasPassword(text))
    throw new PosternError(
      'usage.invalid',
      'The URL of the store has a password, which every user of this machine can read there. Put the password into a file ' +
        'for --store-password-file, into PGPASSWORD or the file of PGPASSFILE, or the whole URL into POSTERN_STORE',
    );
  return { kind: 'postgres', url: text, password: passwordFile && readPassword(resolvePath(passwordFile, context)) };
}

function readPassword(path: string): string {
  let text: string | undefined;
  try {
    text = readSecretFile(path, 'The file of --store-password-file');
  } catch (error) {
    if (isPosternError(error)) throw error;
    const reason = foreignCode(error) ?? describeError(error);
    throw new PosternError('config.invalid', `Cannot read ${path} of --store-password-file (${reason})`, {
      cause: error,
    });
  }
  if (text === undefined) throw new PosternError('config.invalid', `${path} of --store-password-file does not exist`);
  const password = text.replace(/\r?\n$/, '');
  if (password === '' || password.includes('\n'))
    throw new PosternError(
      'config.invalid',
      `The file ${path} of --store-password-file must hold one line, the password`,
    );
  return password;
}
