// The configuration that an edge pushes over HTTP/2: JSON in a request, JSON in its answer. What the documents mean is in
// docs/protocol/edge-protocol.md; over QUIC the same goes by RPC (connector-calls.ts).
//
//   request  {"version":7,"config":{…}}
//   answer   {"lastAppliedVersion":7,"err":null}

import { PosternError } from '../../errors/error.ts';

/** A configuration on its way to a connector. */
export interface PushedConfiguration {
  /** int32; versions at or below the active one change nothing. */
  readonly version: number;
  /** JSON text. */
  readonly json: string;
}

/** What a connector says of a configuration. */
export interface ConfigurationAnswer {
  /** The version that it runs now; -1 = a local configuration. */
  readonly version: number;
  /** Why it did not apply the one that was pushed; undefined when it did, or runs a newer one. */
  readonly error: string | undefined;
}

/** Real configurations are kilobytes; a thousand rules with every setting stay under one megabyte. */
export const maxRequestBytes = 4 * 1024 * 1024;
/** The answer is a line. */
export const maxAnswerBytes = 64 * 1024;

export function encodeConfigurationRequest({ version, json }: PushedConfiguration): Buffer {
  return Buffer.from(`{"version":${version},"config":${json}}`);
}

/** Throws 'protocol.malformed'; the text never quotes the configuration, which may name internal hosts. */
export function decodeConfigurationRequest(text: string): PushedConfiguration {
  const { version, config } = parseObject(text, 'update');
  if (!isVersion(version)) throw malformed('update', '"version" is not an int32');
  try {
    return { version, json: JSON.stringify(config ?? {}) };
  } catch {
    // Nested so deeply that the stack does not suffice to write it.
    throw malformed('update', '"config" is nested too deeply');
  }
}

export function encodeConfigurationAnswer({ version, error }: ConfigurationAnswer): Buffer {
  const err = error === undefined ? null : { message: error };
  return Buffer.from(JSON.stringify({ lastAppliedVersion: version, err }));
}

/** An error of a stock connector is whatever its own value became as JSON, often `{}`. Throws 'protocol.malformed'. */
export function decodeConfigurationAnswer(text: string): ConfigurationAnswer {
  const { lastAppliedVersion: version, err } = parseObject(text, 'answer');
  if (!isVersion(version)) throw malformed('answer', '"lastAppliedVersion" is not an int32');
  return { version, error: err === null || err === undefined ? undefined : textOf(err) };
}

function textOf(err: unknown): string {
  if (typeof err === 'string') return err;
  const message = typeof err === 'object' && err !== null && 'message' in err ? err.message : undefined;
  return typeof message === 'string' ? message : JSON.stringify(err);
}

function parseObject(text: string, what: 'update' | 'answer'): Readonly<Record<string, unknown>> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw malformed(what, 'it is not JSON');
  }
  if (typeof document !== 'object' || document === null) throw malformed(what, 'it is not an object');
  return document as Readonly<Record<string, unknown>>;
}

function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 0x7fff_ffff;
}

function malformed(what: 'update' | 'answer', why: string): PosternError {
  return new PosternError('protocol.malformed', `The configuration ${what} cannot be read: ${why}.`);
}
