// A program that takes the write lock of the SQLite file named by its argument, says so, and holds it until its standard
// input ends. Started by `holdLock` of store-lock.ts.

import { writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const database = new DatabaseSync(process.argv[2] ?? '');
database.exec('BEGIN IMMEDIATE');
writeSync(1, 'locked\n');
process.stdin.resume().once('end', () => {
  database.exec('ROLLBACK');
  database.close();
});
