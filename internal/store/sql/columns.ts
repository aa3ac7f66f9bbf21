// Reads typed values out of rows. Tables are STRICT, so a wrong type means a foreign file or a wrong query.

import { PosternError } from '../../errors/error.ts';
import { parseTunnelId, type TunnelId } from '../../schema/api/id.ts';
import type { Row } from './database.ts';

export function text(row: Row, column: string): string {
  const value = row[column];
  return typeof value === 'string' ? value : wrong(column);
}

export function integer(row: Row, column: string): number {
  const value = row[column];
  return typeof value === 'number' ? value : wrong(column);
}

export function optionalInteger(row: Row, column: string): number | undefined {
  return row[column] === null ? undefined : integer(row, column);
}

export function optionalText(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : text(row, column);
}

export function blob(row: Row, column: string): Uint8Array {
  const value = row[column];
  return value instanceof Uint8Array ? value : wrong(column);
}

export function tunnelId(row: Row, column: string): TunnelId {
  return parseTunnelId(text(row, column)) ?? wrong(column);
}

function wrong(column: string): never {
  throw new PosternError('store.failed', `The database holds something unexpected in column ${column}`);
}
