// Checks what a command printed against its published schema, with a validator of others.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { outputSchemaFile } from '../../scripts/docs/output-schemas.ts';

const root = join(import.meta.dirname, '..', '..');
const ajv = new Ajv2020({ allErrors: true });
addFormats.default(ajv);

/** The value; throws unless `text` is JSON that the schema of the command in docs/schemas allows. */
export function checkPrinted(path: string, text: string): unknown {
  const schema = JSON.parse(readFileSync(join(root, outputSchemaFile(path)), 'utf8')) as object;
  const validate = ajv.getSchema(path) ?? ajv.addSchema(schema, path).getSchema(path);
  assert.ok(validate !== undefined);
  const value: unknown = JSON.parse(text);
  assert.ok(validate(value) === true, `${path}: ${ajv.errorsText(validate.errors)}\n${text}`);
  return value;
}
