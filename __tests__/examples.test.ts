import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { readConfigFile } from '../src/kit/config-file.ts';
import { kebab, type Raw, readSettings } from '../src/kit/settings.ts';
import { knownSettings, modes } from '../src/main.ts';

const root = join(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) => block);

/** The settings of a mode as this file gives them, or the complaint about it. */
function understood(mode: string, content: string, environment: string | undefined, given: Readonly<Record<string, Raw>> = {}): string[] {
  const { sources, problems } = readConfigFile('ami.yml', content, environment);
  const settings = modes[mode]?.settings ?? {};
  const withGiven = [
    { name: 'with', fromFile: false, values: given },
    ...sources,
    { name: 'AWS_REGION', fromFile: true, values: { region: 'eu-central-1' } },
  ];
  try {
    readSettings(settings, withGiven, knownSettings(), problems);
    return [];
  } catch (failure) {
    return [(failure as Error).message];
  }
}

const example = readFileSync(join(root, 'examples', 'ami.yml'), 'utf8');
const inReadme = blocks.find(block => block.startsWith('family: web')) ?? '';

test.each([
  ['examples/ami.yml', example],
  ['the README', inReadme],
])('the settings file of %s is understood by every mode', (_, content) => {
  expect(content).toContain('environments:');
  for (const mode of ['build', 'prune', 'list', 'resolve']) expect(understood(mode, content, undefined)).toEqual([]);
  expect(understood('validate', content, undefined, { image: 'latest' })).toEqual([]);
  for (const mode of ['promote', 'rollback']) expect(understood(mode, content, 'prod', { environment: 'prod' })).toEqual([]);
});

const steps = blocks
  .filter(block => block.includes('uses: org/ami-action@v1'))
  .flatMap(block => parse(block, { schema: 'failsafe' }) as { with: Readonly<Record<string, Raw>> }[]);

test.each(steps.map(({ with: given }) => [String(given['mode']), given] as const))(
  'the step of the README for %s is understood',
  (mode, { mode: _, ...given }) => {
    expect(understood(mode, '', undefined, given)).toEqual([]);
  },
);

test('the README has a step for every mode', () => {
  expect(steps.map(step => step.with['mode']).sort()).toEqual(Object.keys(modes).sort());
});

test('a setting has one meaning in all modes, and its file schema is there', () => {
  const schema = JSON.parse(readFileSync(join(root, 'ami.schema.json'), 'utf8')) as { properties: Record<string, { description: string }> };
  for (const { settings } of Object.values(modes)) {
    for (const [key, setting] of Object.entries(settings)) {
      if (!setting.withOnly) expect(schema.properties[kebab(key)]?.description).toBe(setting.doc.replace(/`/g, ''));
    }
  }
});
