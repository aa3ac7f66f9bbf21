import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatDuration, parseDuration } from './duration.ts';

describe('duration', () => {
  it('parses the Go grammar into milliseconds', () => {
    const cases: readonly (readonly [string, number])[] = [
      ['0', 0],
      ['0s', 0],
      ['30s', 30_000],
      ['1m30s', 90_000],
      ['1h15m30.918s', 4_530_918],
      ['250ms', 250],
      ['1.5s', 1500],
      ['.5s', 500],
      ['1.s', 1000],
      ['-1.5h', -5_400_000],
      ['+5s', 5000],
      ['1500us', 1.5],
      ['1500\u00b5s', 1.5],
      ['1500\u03bcs', 1.5],
      ['30ns', 0.00003],
      ['3h3h', 21_600_000],
    ];
    for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
  });

  it('refuses everything else with the text users know', () => {
    const cases: readonly (readonly [string, string])[] = [
      ['', 'time: invalid duration ""'],
      ['-', 'time: invalid duration "-"'],
      ['30', 'time: missing unit in duration "30"'],
      ['1m30', 'time: missing unit in duration "1m30"'],
      ['1d', 'time: unknown unit "d" in duration "1d"'],
      ['5 s', 'time: unknown unit " s" in duration "5 s"'],
      ['s', 'time: invalid duration "s"'],
      ['.s', 'time: invalid duration ".s"'],
      ['1..5s', 'time: invalid duration "1..5s"'],
      ['1toString', 'time: unknown unit "toString" in duration "1toString"'],
      ['9999999999h', 'time: invalid duration "9999999999h"'],
    ];
    for (const [text, message] of cases) assert.throws(() => parseDuration(text), { code: 'config.invalid', message });
  });

  it('formats as Go prints, and what it prints parses back', () => {
    const cases: readonly (readonly [number, string])[] = [
      [0, '0s'],
      [30_000, '30s'],
      [90_000, '1m30s'],
      [3_600_000, '1h0m0s'],
      [86_400_000, '24h0m0s'],
      [1500, '1.5s'],
      [250, '250ms'],
      [1.5, '1.5ms'],
      [0.0015, '1.5\u00b5s'],
      [0.00003, '30ns'],
      [-90_000, '-1m30s'],
    ];
    for (const [ms, text] of cases) {
      assert.equal(formatDuration(ms), text);
      assert.equal(parseDuration(text), ms);
    }
  });
});
