import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { everyValue, forMode, parseConfigFile, readConfigFile, sourcesOf } from '../../src/kit/config-file.ts';
import { UsageError } from '../../src/kit/errors.ts';
import { count, duration, flag, list, map, oneOf, optional, text, yaml } from '../../src/kit/fields.ts';
import { type RawValue, readSettings, type Settings } from '../../src/kit/settings.ts';

const read = <S extends Settings>(settings: S, given: Record<string, RawValue>, known: Settings = settings) =>
  readSettings(settings, { sources: [{ name: 'with', file: undefined, values: given }], known });

const problemOf = (settings: Settings, given: Record<string, RawValue>, known?: Settings): string => {
  try {
    read(settings, given, known);
  } catch (failure) {
    if (failure instanceof UsageError) return failure.message;
    throw failure;
  }
  return 'no problem';
};

describe('a value is read as it is meant', () => {
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
    [map('d'), 'Team=web\n\nCost=012=0\r\n', { Team: 'web', Cost: '012=0' }],
    [map('d'), 'url: http://x?a=b', { url: 'http://x?a=b' }],
    [flag('d', false), 'TRUE', true],
    [flag('d', true), 'False', false],
    [list('d', { pattern: /^\d{12}$/ }), '- 012345678901', ['012345678901']],
    [text('d'), '  around  ', 'around'],
  ])('%#', (setting, given, value) => {
    expect(read({ it: setting }, { it: given })).toEqual({ it: value });
  });

  test('CRLF of a file that was edited on Windows is no part of a value', () => {
    expect(read({ it: list('d') }, { it: 'a\r\nb\r\n' })).toEqual({ it: ['a', 'b'] });
  });

  test('a setting that is not given has its default, and an empty text is not given', () => {
    expect(read({ keep: count('d', { min: 0, max: 9, fallback: 3 }), it: optional(text('d')) }, { keep: '' })).toEqual({ keep: 3 });
  });
});

describe('a bad value is reported with what is right and what was given', () => {
  test.each([
    [count('d', { min: 1, max: 9 }), 'many', '"it" must be a whole number from 1 to 9, got "many"'],
    [count('d', { min: 1, max: 9 }), '1e3', '"it" must be a whole number from 1 to 9, got "1e3"'],
    [count('d', { min: 1, max: 9 }), '-5', '"it" must be a whole number from 1 to 9, got "-5"'],
    [flag('d', false), 'yes', '"it" must be true or false, got "yes"'],
    [duration('d'), '10', '"it" must be a duration such as 90s, 45m, 1h30m or 2d, got "10"'],
    [duration('d'), '-5m', '"it" must be a duration such as 90s, 45m, 1h30m or 2d, got "-5m"'],
    [oneOf('d', ['keep', 'delete']), 'kep', '"it" must be one of keep, delete, got "kep"'],
    [text('d'), 'a\u00a0b', '"it" contains an invisible character: type it again, got "a\\u00a0b"'],
    [text('d'), 'x'.repeat(5000), `"it" is too long: at most 4096 characters, got "${'x'.repeat(77)}... (5000 characters)"`],
    [list('d', { pattern: /^\d+$/, message: 'must be digits' }), '[1, x2]', '"it[2]" must be digits, got "x2"'],
    [list('d', { pattern: /^\d+$/, message: 'must be digits' }), '1, x2', '"it[2]" must be digits, got "1, x2"'],
    [map('d'), 'Team', '"it" must be a map, one "key: value" or KEY=VALUE a line, got "Team"'],
    [yaml('d', () => z.array(z.string())), '[a', '"it" must be YAML: Flow sequence must end with a ] at line 1, column 3, got "[a"'],
  ])('%#', (setting, given, message) => {
    expect(problemOf({ it: setting }, { it: given })).toBe(message);
  });

  test('all of them at once', () => {
    const settings = { keepNewest: count('d', { min: 0, max: 9 }), family: text('Which family.') };
    expect(problemOf(settings, { 'keep-newest': 'x', famly: 'web' })).toBe(
      [
        '3 settings need attention:',
        '- "famly" (with) is not a setting, did you mean "family"?',
        '- "keep-newest" must be a whole number from 0 to 9, got "x"',
        '- "family" is missing: Which family.',
      ].join('\n'),
    );
  });

  test('a setting of another mode does nothing here, and that is reported', () => {
    expect(problemOf({ family: text('d') }, { family: 'web', bake: '5m' }, { bake: duration('d') })).toBe(
      '"bake" (with) does nothing in this mode: remove it',
    );
  });
});

describe("the repository's file", () => {
  const FILE = 'family: web\nkeep-newest: 3\naccounts: [012345678901]\nenvironments:\n  prod:\n    keep-newest: 9\n';
  const settings = { family: text('d'), keepNewest: count('d', { min: 0, max: 99, fallback: 1 }), accounts: optional(list('d')) };
  const readFile = (content: string, environment: string | undefined, given: Record<string, RawValue> = {}, all: Settings = settings) => {
    const { sources, ...file } = sourcesOf(parseConfigFile('ami.yml', content), environment);
    return readSettings(all, { ...file, sources: [{ name: 'with', file: undefined, values: given }, ...sources], known: all });
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
    ['- family', undefined, 'ami.yml must be a map of settings, one "key: value" a line, got "[\\"family\\"]"'],
    [
      'family: [',
      undefined,
      'ami.yml line 1 is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ], got "family: ["',
    ],
    ['family: web\nregion eu-central-1', undefined, 'ami.yml line 2: "region eu-central-1" lacks a colon'],
    ['family: web\nregion eu-central-1\nkeep-newest: 3', undefined, 'ami.yml line 2: "region eu-central-1" lacks a colon'],
    ['family: web\nregion:eu-central-1\nkeep-newest: 3', undefined, 'ami.yml line 2: "region:eu-central-1" lacks a space after the colon'],
    ['family: web\n\tkeep-newest: 3', undefined, 'ami.yml line 2: indent with spaces, not with tabs'],
    ['family: web\nfamily: api', undefined, 'ami.yml line 2: "family" is set twice'],
    ['family: web\nenvironments: {prod: {keep-newest: 1, keep-newest: 2}}', undefined, 'ami.yml line 2: "keep-newest" is set twice'],
    ['family: *web', undefined, 'ami.yml is not YAML: Unresolved alias (the anchor must be set before the alias): web'],
    ['family: web\nmode: promote', undefined, '"mode" (ami.yml) belongs under "with:" in the workflow'],
    ['family: web\nconfig: x.yml', undefined, '"config" (ami.yml) belongs under "with:" in the workflow'],
    ['family: web\nstage:\n  keep-newest: 3', undefined, '"stage" (ami.yml) looks like an environment: put it under "environments:"'],
    ['family: web\nenvironments: prod', 'prod', '"environments" (ami.yml) must be a map from an environment to its settings, got "prod"'],
    ['family: web\nenvironments: {prod: x}', 'prod', '"environments.prod" (ami.yml) must be a map of settings, got "x"'],
    [
      'family: web\nenvironments: {prod: {keep-newest: x}}',
      'prod',
      '"keep-newest" must be a whole number from 0 to 99, got "x" (ami.yml, environments.prod)',
    ],
  ])('reports %j, and no other problem with it', (content, environment, message) => {
    expect(() => readFile(content, environment)).toThrow(new UsageError([message]));
  });

  const MODES = `${FILE}by-mode:\n  prune: { keep-newest: 5, accounts: [] }\n`;
  test.each([
    ['prune', undefined, 5],
    ['list', undefined, 3],
    ['prune', 'prod', 9],
  ])('the section of a mode wins over the top, and that of the environment over both: %s in %s', (mode, environment, value) => {
    const { sources } = sourcesOf(forMode(parseConfigFile('ami.yml', MODES), mode, ['prune', 'list']), environment);
    expect(readSettings(settings, { sources, known: settings }).keepNewest).toBe(value);
  });

  test('a pointer of one mode is known to all, and a mode that does not exist is reported with its line', () => {
    const file = parseConfigFile('ami.yml', 'family: web\nby-mode:\n  prun: {}\n  promote: { pointer: "/x/{environment}" }\n');
    expect(everyValue(file, 'pointer', '/ami')).toEqual(['/ami', '/x/{environment}']);
    expect(forMode(file, 'list', ['prune', 'promote', 'list']).problems).toEqual([
      { message: '"by-mode.prun" (ami.yml) is not a mode, did you mean "prune"?', location: { file: 'ami.yml', line: 2 } },
    ]);
    expect(parseConfigFile('ami.yml', 'by-mode: [list]').problems.map(({ message }) => message)).toEqual([
      '"by-mode" (ami.yml) must be a map from a mode to its settings, got "[\\"list\\"]"',
    ]);
  });

  test('a guard does not stand in a file that a branch can rewrite', () => {
    expect(() =>
      readFile('family: web\ndry-run: false', undefined, {}, { ...settings, dryRun: flag('d', true, { withOnly: true }) }),
    ).toThrow('"dry-run" (ami.yml) is read under "with:" only: a branch could change it in this file');
  });

  test.each([
    ['family: web\n\nkeep-newest: x\n', undefined, 3],
    ['family: web\nenvironments:\n  stage: {}\n  prod:\n    keep-newest: x\n', 'prod', 5],
    ['family: web\n# no\nfamliy: api\n', undefined, 3],
    ['family: web\nregion\n', undefined, 2],
  ])('the problem with %j has its line', (content, environment, line) => {
    try {
      readFile(content, environment);
    } catch (failure) {
      expect((failure as UsageError).location).toEqual({ file: 'ami.yml', line });
      return;
    }
    expect('no problem').toBe('');
  });

  test('a file that cannot be meant is refused, and not read in part', () => {
    const files: Record<string, string> = { '.github/ami.yaml': 'family: web' };
    const read = (path: string) => (Object.hasOwn(files, path) ? files[path] : undefined);
    const folder = () => {
      throw Object.assign(new Error('EISDIR'), { code: 'EISDIR' });
    };
    const usual = '.github/ami.yml';
    expect(readConfigFile(read, usual, usual).problems).toEqual([
      { message: '.github/ami.yaml is not read: rename it to .github/ami.yml, or set "config: .github/ami.yaml"' },
    ]);
    expect(readConfigFile(read, 'other.yml', usual).problems).toEqual([
      { message: '"config" names a file that does not exist, got "other.yml"' },
    ]);
    expect(readConfigFile(folder, '.github', usual).problems).toEqual([{ message: '.github cannot be read: it is a folder' }]);
    expect(readConfigFile(read, '.github/ami.yaml', usual)).toMatchObject({ file: { top: { values: { family: 'web' } } }, problems: [] });
  });

  test('thousands of problems take no time and little room', () => {
    const keys = (count: number) => Array.from({ length: count }, (_, n) => `k${n}:`).join('\n');
    const started = performance.now();
    expect(() => readFile(keys(12_000), undefined, { family: 'web' })).toThrow(/^12000 settings need attention:[\s\S]*- and 11900 more$/);
    expect(performance.now() - started).toBeLessThan(3000);
  });
});

describe('a secret', () => {
  const secrets = { secretVar: optional(map('d', { secret: true })), token: optional(text('d', { secret: true })) };
  test.each([
    ['secret-var', '*s3cr3t', '"secret-var" must be a map, one "key: value" or KEY=VALUE a line (its value is not shown)'],
    ['secret-var', '- s3cr3t', '"secret-var" must be a map, one "key: value" or KEY=VALUE a line (its value is not shown)'],
    ['secret-var', 'a: [s3cr3t]', '"secret-var" must be text (its value is not shown)'],
    ['token', 's3cr3t\u00a0', undefined],
    ['token', 's3\u00a0cr3t', '"token" contains an invisible character: type it again (its value is not shown)'],
  ])('%s: %j is never quoted', (name, value, message) => {
    expect(problemOf(secrets, { [name]: value })).toBe(message ?? 'no problem');
  });

  test('is not quoted where it does nothing either, and belongs under "with:"', () => {
    expect(problemOf({}, { token: 's3cr3t' }, secrets)).toBe('"token" (with) does nothing in this mode: remove it');
    const sources = [{ name: 'ami.yml', file: 'ami.yml', values: { token: 's3cr3t' } }];
    expect(() => readSettings({}, { sources, known: secrets })).toThrow(
      '"token" (ami.yml) is a secret, and this file is committed: set it under "with:", from ${{ secrets.NAME }}',
    );
  });
});
