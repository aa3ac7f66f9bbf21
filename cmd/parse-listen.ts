// Addresses to listen on, as flags give them.

import { PosternError } from '../internal/errors/error.ts';

export interface ListenText {
  readonly host: string;
  /** 0 = any. */
  readonly port: number;
}

/** `host:port`, `[v6]:port` or `:port`. `flag` is the flag's name, for the message. Throws 'usage.invalid'. */
export function parseListen(text: string, flag: string): ListenText {
  const match = /^(?:\[([^\][]+)\]|([^:\][\s/]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new PosternError(
      'usage.invalid',
      `--${flag} must be HOST:PORT, such as localhost:20241, not ${JSON.stringify(text)}`,
    );
  }
  return { host: match[1] ?? (match[2] === undefined || match[2] === '' ? '::' : match[2]), port };
}
