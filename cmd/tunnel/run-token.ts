// Where the token of `tunnel run` and of `service install` comes from: the value itself, a file, standard input, or a
// credential of systemd. Source: docs/protocol/commands-and-api.md §4; systemd.exec(5), "Credentials".

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TunnelSettings } from '../../internal/config/tunnel-settings.ts';
import { readSecretFile } from '../../internal/credentials/secret-file.ts';
import { parseToken, type TunnelToken } from '../../internal/credentials/tunnel-token.ts';
import { describeError, foreignCode, isPosternError, PosternError } from '../../internal/errors/error.ts';
import type { CommandContext } from '../context.ts';
import { resolvePath } from '../resolve-path.ts';

/** Names of the credentials that a unit gives with LoadCredential= or SetCredentialEncrypted=. */
export const systemdCredentials = { token: 'token', credentials: 'credentials.json' } as const;

/** A token that was typed or piped is there within this time; it may come from a program that asks for a password. */
const inputTimeoutMs = 120_000;
/** More than any token. */
const maxInputBytes = 64 * 1024;

/**
 * The token that is given by flag or variable, --token before --token-file; undefined when neither is. Throws 'usage.invalid' when
 * the file cannot be read, 'credentials.invalid' when others can read it or it holds no token.
 */
export async function givenToken(
  { token, tokenFile }: Pick<TunnelSettings, 'token' | 'tokenFile'>,
  context: CommandContext,
): Promise<TunnelToken | undefined> {
  if (token !== undefined && token !== '') return parseToken(token);
  if (tokenFile === undefined || tokenFile === '') return undefined;
  if (tokenFile === '-') return parseToken(await readInput(context));
  return parseToken(readTokenFile(resolvePath(tokenFile, context)));
}

/** Path of a credential that systemd has loaded for this service; undefined when there is none of that name. */
export function systemdCredential(name: string, { env }: Pick<CommandContext, 'env'>): string | undefined {
  const directory = env.CREDENTIALS_DIRECTORY;
  if (directory === undefined || directory === '') return undefined;
  const path = join(directory, name);
  return existsSync(path) ? path : undefined;
}

/** The text of a token file, trimmed. */
export function readTokenFile(file: string): string {
  let text: string | undefined;
  try {
    text = readSecretFile(file, 'The token file');
  } catch (error) {
    if (isPosternError(error)) throw error;
    const reason = foreignCode(error) ?? describeError(error);
    throw new PosternError('usage.invalid', `Failed to read token file: ${file} (${reason})`, { cause: error });
  }
  if (text === undefined) throw new PosternError('usage.invalid', `Failed to read token file: ${file} does not exist`);
  return text.trim();
}

/** Standard input to its end; on a terminal one line. */
async function readInput({ stdin, stdinIsTerminal, stderr }: CommandContext): Promise<string> {
  if (stdinIsTerminal) stderr.write('Token: ');
  const timer = setTimeout(
    () => stdin.destroy(new Error(`no token within ${inputTimeoutMs / 1_000} s`)),
    inputTimeoutMs,
  );
  try {
    let text = '';
    for await (const chunk of stdin) {
      text += chunk;
      if (text.length > maxInputBytes) throw new Error(`it is longer than ${maxInputBytes} bytes`);
      if (stdinIsTerminal && text.includes('\n')) break;
    }
    return text.trim();
  } catch (error) {
    throw new PosternError('usage.invalid', `Failed to read the token from standard input: ${describeError(error)}`);
  } finally {
    clearTimeout(timer);
  }
}
