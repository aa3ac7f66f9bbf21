import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLogger } from './logger.ts';
import { isPrintableLine, printable, printableLine } from './printable.ts';

describe('text of others', () => {
  it('shows what would control a terminal, or forge a line, as its number', () => {
    assert.equal(
      printableLine('\u001b[31mred\u009b\0\r\n\t\u202egnp.exe'),
      '\\u001b[31mred\\u009b\\u0000\\u000d\\u000a\\u0009\\u202egnp.exe',
    );
    assert.equal(printable('one\n\ttwo\r'), 'one\n\ttwo\\u000d');
    assert.equal(printableLine('Zoë, 日本, 👩‍💻'), 'Zoë, 日本, 👩‍💻');
    assert.deepEqual([isPrintableLine('plain'), isPrintableLine('\u007f')], [true, false]);
  });

  it('does so in the log on a console', () => {
    const lines: string[] = [];
    const logger = createLogger({
      level: 'info',
      format: 'console',
      destination: { write: text => void lines.push(text) },
    });
    logger.info({ host: '\u001b[2J', name: '\u009b2J x' }, 'Seen \u001b[1m');
    assert.match(lines.join(''), /^\S+ INF Seen \\u001b\[1m host=\\u001b\[2J name="\\u009b2J x"\n$/);
  });
});
