// The JSON Schemas of docs/schemas: of the config file, and of what each command prints.

import { printedJsonSchema, printedSchemas } from '../../cmd/printed/schemas.ts';
import { configFileSchema } from '../../internal/config/file/config-schema.ts';

/** `tunnel route ip show` → its file. */
export const outputSchemaFile = (path: string): string => `docs/schemas/${path.replaceAll(' ', '-')}.json`;

/** File → text. */
export const outputSchemas: Readonly<Record<string, () => string>> = Object.fromEntries([
  ['docs/schemas/config.json', () => `${JSON.stringify(configFileSchema(), null, 2)}\n`],
  ...Object.keys(printedSchemas).map(
    path => [outputSchemaFile(path), () => `${JSON.stringify(printedJsonSchema(path), null, 2)}\n`] as const,
  ),
]);
