// Reads a request's JSON body within bounds of size and time.

import type { IncomingMessage } from 'node:http';
import { isDeeperThan, maxJsonDepth } from '../schema/json-depth.ts';
import { apiProblem } from './api-problem.ts';

/** Largest body: a remote configuration of some thousand rules; everything else is far smaller. */
export const maxBodyBytes = 1024 * 1024;
/** Time for a body to arrive whole; the client's own deadline for a call is 15 s. */
const bodyTimeoutMs = 10_000;

/** The body's JSON value, undefined for an empty one. Throws `api.invalid`. */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const text = await readText(request, maxBodyBytes);
  if (text === '') return undefined;
  if (isDeeperThan(text, maxJsonDepth))
    throw apiProblem('invalid', `The request body is nested more than ${maxJsonDepth} levels deep`);
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the body, which can hold a secret.
    throw apiProblem('invalid', 'The request body is not valid JSON');
  }
}

/** The body as text. Throws `api.invalid` for one that is too long, late or broken off. */
export function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const stop = (message: string): void => {
      clearTimeout(timer);
      request.off('data', onData);
      request.pause();
      reject(apiProblem('invalid', message));
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.byteLength;
      if (length > maxBytes) stop(`The request body is larger than ${maxBytes} bytes`);
      else chunks.push(chunk);
    };
    const timer = setTimeout(() => stop('The request body did not arrive in time'), bodyTimeoutMs);
    request.on('data', onData);
    request.once('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    request.once('error', error => {
      clearTimeout(timer);
      reject(error);
    });
    request.once('close', () => {
      clearTimeout(timer);
      reject(apiProblem('invalid', 'The request ended early'));
    });
  });
}
