// Holds every source file to the parts of the house style that a program can see: a header comment, a length that can be
// read in one go, no import cycles of types either, nothing left for later, nothing of the machine it was written on.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorTable } from '../../internal/errors/table.ts';
import { circlesIn, filesOf, importsOf, isTest, textOf } from './tree.ts';

const maxLines = 400;
/** Longer than `maxLines`, each with its reason. */
const long: Readonly<Record<string, string>> = {
  'cmd/commands.ts': 'one list, an entry a command',
  'test/conformance/transport.ts': 'one list of cases that every transport runs, read case by case',
};

const sources = new Map(
  filesOf('{cmd,internal,scripts,test}/**/*.ts')
    .filter(file => !file.includes('/generated/'))
    .map(file => [file, textOf(file)] as const),
);
const filesWhere = (test: (text: string, file: string) => boolean): string[] =>
  [...sources].filter(([file, text]) => test(text, file)).map(([file]) => file);

describe('source files', () => {
  it('begin with a comment that says what they own', () => {
    assert.deepEqual(
      filesWhere((text, file) => !isTest(file) && !/^(?:#!.*\n)?\/\/ \S/.test(text)),
      [],
    );
  });

  it(`are at most ${maxLines} lines long, tests aside`, () => {
    const tooLong = filesWhere((text, file) => !isTest(file) && text.split('\n').length - 1 > maxLines);
    assert.deepEqual(
      tooLong.filter(file => long[file] === undefined),
      [],
    );
  });

  it('leave nothing for later', () => {
    const words = ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'];
    assert.deepEqual(
      filesWhere(text => words.some(word => new RegExp(`\\b${word}\\b`).test(text))),
      [],
    );
  });

  it('name no folder of the machine they were written on', () => {
    assert.deepEqual(
      filesWhere(text => /(?<![\w.])\/(?:work|root|Users)\/|\/tmp\/(?!\$)\w+\//.test(text)),
      [],
    );
  });

  it('do not import each other in circles, types included', () => {
    const imports = new Map([...sources.keys()].map(file => [file, importsOf(file)]));
    assert.deepEqual(circlesIn(imports), []);
  });

  it('use every error code of the table', () => {
    const texts = [...sources].filter(([file]) => !isTest(file) && file !== 'internal/errors/table.ts');
    const unused = Object.keys(errorTable).filter(code => !texts.some(([, text]) => text.includes(`'${code}'`)));
    assert.deepEqual(unused, []);
  });
});
