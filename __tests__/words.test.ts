import { expect, test } from '@jest/globals';
import { bannedIn, filesIn, findings } from '../scripts/words.ts';

test('a banned word is found in a name, a string, a comment and prose, with the word to use', () => {
  const text = 'const sayDeed = 1;\n// Nobody reads it\nconst a = "mend it";\nThe image that lies about.';
  expect(bannedIn(text).map(({ line, word, use }) => `${line} ${word}: ${use}`)).toEqual([
    '1 deed: action',
    '2 nobody: name the subject',
    '3 mend: fix',
    '4 lies about: leftovers',
  ]);
});

test('a word that only contains one is not banned', () => {
  expect(bannedIn('amend, besides, indeed, holder')).toEqual([]);
});

test('source, docs and examples use the words of the glossary', () => {
  expect(filesIn().length).toBeGreaterThan(300);
  expect(findings()).toEqual([]);
});
