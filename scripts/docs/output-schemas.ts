// The JSON Schemas of docs/schemas: one for each command that prints JSON.

import { printedJsonSchema, printedSchemas } from '../../cmd/printed/schemas.ts';

/** `tunnel route ip show` → its file. */
export const outputSchemaFile = (path: string): string => `docs/schemas/${path.replaceAll(' ', '-')}.json`;

/** File → text. */
export const outputSchemas: Readonly<Record<string, () => string>> = Object.fromEntries(
  Object.keys(printedSchemas).map(path => [
    outputSchemaFile(path),
    () => `${JSON.stringify(printedJsonSchema(path), null, 2)}\n`,
  ]),
);
