import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { readConfigFile } from '../../src/kit/config-file.ts';
import { UsageError } from '../../src/kit/errors.ts';
import { count, duration, flag, list, map, oneOf, optional, text, yaml } from '../../src/kit/fields.ts';
import { type RawValue, readSettings, type Settings } from '../../src/kit/settings.ts';

const read = <S extends Settings>(settings: S, given: Record<string, RawValue>, known: readonly string[] = Object.keys(settings)) =>
  readSettings(settings, [{ name: 'with', fromFile: false, values: given }], new Set(known));

const complaint = (settings: Settings, given: Record<string, RawValue>, known?: readonly string[]): string => {
  try {
    read(settings, given, known);
  } catch (failure) {
    if (failure instanceof UsageError) return failure.message;
    throw failure;
  }
  return 'no complaint';
};

describe('a value is read as a person means it', () => {
  test.each([
    [count('d', { min: 0, max: 9 }), '7', 7],
    [flag('d', false), 'true', true],
    [duration('d'), '1h30m', 5400],
    [duration('d'), '90s', 90],
    [oneOf('d', ['keep', 'delete']), 'keep', 'keep'],
    [list('d'), 'a, b\nc', ['a', 'b', 'c']],
    [list('d'), '- a\n- b', ['a', 'b']],
    [list('d'), '[a, b]', ['a', 'b']],
    [map('d'), 'Team: web\nCost: 012', { Team: 'web', Cost: '012' }],
    [list('d', { pattern: /^\d{12}$/ }), '- 012345678901', ['012345678901']],
    [text('d'), '  around  ', 'around'],
  ])('%#', (setting, given, value) => {
    expect(read({ it: setting }, { it: given })).toEqual({ it: value });
  });

  test('CRLF of a file that was edited on Windows is no part of a value', () => {
    expect(read({ it: list('d') }, { it: 'a\r\nb\r\n' })).toEqual({ it: ['a', 'b'] });
  });

  test('what was not said has its default, and an empty text was not said', () => {
    expect(read({ keep: count('d', { min: 0, max: 9, fallback: 3 }), it: optional(text('d')) }, { keep: '' })).toEqual({ keep: 3 });
  });
});

describe('a bad value is told with what would be right and what was given', () => {
  test.each([
    [count('d', { min: 1, max: 9 }), 'many', '"it" must be a whole number from 1 to 9, got "many"'],
    [count('d', { min: 1, max: 9 }), '1e3', '"it" must be a whole number from 1 to 9, got "1e3"'],
    [count('d', { min: 1, max: 9 }), '-5', '"it" must be a whole number from 1 to 9, got "-5"'],
    [flag('d', false), 'yes', '"it" must be true or false, got "yes"'],
    [duration('d'), '10', '"it" must be a duration such as 90s, 45m, 1h30m or 2d, got "10"'],
    [duration('d'), '-5m', '"it" must be a duration such as 90s, 45m, 1h30m or 2d, got "-5m"'],
    [oneOf('d', ['keep', 'delete']), 'kep', '"it" must be one of keep, delete, got "kep"'],
    [text('d'), 'a\u00a0b', '"it" holds an invisible character: type it again, got "a\\u00a0b"'],
    [text('d'), 'x'.repeat(5000), `"it" is too long: at most 4096 characters, got "${'x'.repeat(77)}... (5000 characters)"`],
    [list('d', { pattern: /^\d+$/, message: 'must be digits' }), '[1, x2]', '"it[2]" must be digits, got "x2"'],
    [list('d', { pattern: /^\d+$/, message: 'must be digits' }), '1, x2', '"it[2]" must be digits, got "1, x2"'],
    [map('d'), 'Team', '"it" must be a map, one "key: value" a line, got "Team"'],
    [yaml('d', () => z.array(z.string())), '[a', '"it" must be YAML: Flow sequence must end with a ] at line 1, column 3, got "[a"'],
  ])('%#', (setting, given, says) => {
    expect(complaint({ it: setting }, { it: given })).toBe(says);
  });

  test('all of them at once', () => {
    const settings = { keepNewest: count('d', { min: 0, max: 9 }), family: text('Which family.') };
    expect(complaint(settings, { 'keep-newest': 'x', famly: 'web' }, ['keep-newest', 'family'])).toBe(
      [
        '3 settings need attention:',
        '- "famly" (with) is not a setting, did you mean "family"?',
        '- "keep-newest" must be a whole number from 0 to 9, got "x"',
        '- "family" is missing: Which family.',
      ].join('\n'),
    );
  });

  test('a setting of another mode does nothing here, and that is said', () => {
    expect(complaint({ family: text('d') }, { family: 'web', bake: '5m' }, ['family', 'bake'])).toBe(
      '"bake" (with) does nothing in this mode, got "5m": take it out',
    );
  });
});

describe("the repository's file", () => {
  const FILE = 'family: web\nkeep-newest: 3\naccounts: [012345678901]\nenvironments:\n  prod:\n    keep-newest: 9\n';
  const settings = { family: text('d'), keepNewest: count('d', { min: 0, max: 99, fallback: 1 }), accounts: optional(list('d')) };
  const known = new Set(['family', 'keep-newest', 'accounts', 'dry-run']);
  const readFile = (
    content: string,
    environment: string | undefined,
    given: Record<string, RawValue> = {},
    wanted: Settings = settings,
  ) => {
    const { sources, problems } = readConfigFile('ami.yml', content, environment);
    return readSettings(wanted, [{ name: 'with', fromFile: false, values: given }, ...sources], known, problems);
  };

  test.each([
    ['with: wins over everything', 'prod', { 'keep-newest': '7' }, 7],
    ['the section of the environment wins over the top', 'prod', {}, 9],
    ['the top wins over the default', undefined, {}, 3],
  ])('%s', (_, environment, given, value) => {
    expect(readFile(FILE, environment, given)).toEqual({ family: 'web', keepNewest: value, accounts: ['012345678901'] });
  });

  test.each([
    ['family: web\nfamliy: web', undefined, '"famliy" (ami.yml) is not a setting, did you mean "family"?'],
    [
      'family: web\nenvironments: {stage: {}, prod: {}}',
      'prd',
      '"environment" is not one of stage, prod (ami.yml), did you mean "prod"? Got "prd"',
    ],
    ['- family', undefined, 'ami.yml must be a map of settings, one "key: value" a line, got "[\\"family\\"]"\n- "family" is missing: d'],
    ['family: [', undefined, 'ami.yml is not YAML'],
    [
      'family: web\nenvironments: {prod: {keep-newest: x}}',
      'prod',
      '"keep-newest" must be a whole number from 0 to 99, got "x" (ami.yml, environments.prod)',
    ],
  ])('complains about %j', (content, environment, says) => {
    expect(() => readFile(content, environment)).toThrow(says);
  });

  test('a guard does not stand in a file that a branch can rewrite', () => {
    expect(() =>
      readFile('family: web\ndry-run: false', undefined, {}, { ...settings, dryRun: flag('d', true, { withOnly: true }) }),
    ).toThrow('"dry-run" (ami.yml) may only stand under "with:": a branch could rewrite the file that guards it');
  });
});
