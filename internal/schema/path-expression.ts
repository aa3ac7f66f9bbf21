// Path expressions of ingress rules: their plain form, and the engine for all others. RE2 semantics in linear time, so that a
// pushed expression cannot hang the connector.

import { createRequire } from 'node:module';

type Engine = typeof import('re2js');

let engine: Engine | undefined;

/** The engine, loaded by the first call: 2 MB that a connector whose paths are plain does without. */
export function pathEngine(): Engine {
  engine ??= createRequire(import.meta.url)('re2js') as Engine;
  return engine;
}

/** What an expression without an operator inside says. */
export interface PlainPath {
  /** `^` before it. */
  readonly fromStart: boolean;
  readonly text: string;
  /** `.*` after it. */
  readonly anyRest: boolean;
  /** `$` at its end. */
  readonly toEnd: boolean;
}

/** Takes an expression apart that needs no engine, such as `^/static/.*`; undefined for all others. It is always valid. */
export function plainPath(expression: string): PlainPath | undefined {
  const found = /^(\^?)([A-Za-z0-9/_\-~%:@,;=& ]*)(\.\*)?(\$?)$/.exec(expression);
  if (found === null) return undefined;
  const [, start = '', text = '', rest = '', end = ''] = found;
  return { fromStart: start !== '', text, anyRest: rest !== '', toEnd: end !== '' };
}
