import { describe, expect, test } from '@jest/globals';
import { settings as build } from '../../src/image-build/build.ts';
import { parseConfigFile } from '../../src/kit/config-file.ts';
import type { RawValue, Settings } from '../../src/kit/settings.ts';
import { fileConflicts } from '../../src/rollout/file-conflicts.ts';
import { settings as promote } from '../../src/rollout/promote.ts';
import { settings as validate } from '../../src/validation/validate.ts';

const conflicts = (
  content: string,
  given: Record<string, RawValue> = {},
  chosen: string | undefined = 'stage',
  settings: Settings = promote,
) =>
  fileConflicts(parseConfigFile('ami.yml', content), given, chosen, settings).map(
    ({ message, location }) => `${location?.line}: ${message.replace(/ If they are in two accounts.*/, '')}`,
  );

const two = (stage: string, prod: string, top = '') => `family: web\n${top}environments:\n  stage: { ${stage} }\n  prod: { ${prod} }\n`;

describe('trap T2: environments that share a group', () => {
  test.each<[string, string, readonly string[]]>([
    ['each its own', two('groups: [web-stage]', 'groups: [web-prod]'), []],
    [
      'one group in both',
      two('groups: [web-stage]', 'groups: [web-prod, web-stage]'),
      ['4: "web-stage" is in "groups" of stage and in prod (ami.yml): give each environment its own groups.'],
    ],
    [
      'one group in both, as text',
      two('groups: "a, web"', 'groups: web'),
      ['4: "web" is in "groups" of stage and in prod (ami.yml): give each environment its own groups.'],
    ],
    [
      'at the top next to environments',
      two('bake: 1m', 'bake: 5m', 'groups: [web]\n'),
      ['2: "web" is in "groups" of stage and in prod (ami.yml): give each environment its own groups.'],
    ],
    ['at the top for one environment', 'family: web\ngroups: [web]\nenvironments:\n  stage: {}\n', []],
    ['at the top, and each has its own', two('groups: [a]', 'groups: [b]', 'groups: [web]\n'), []],
    [
      'the same tags',
      two('group-tags: {app: web, tier: a}', 'group-tags: {tier: a, app: web}'),
      ['4: "group-tags" (app=web, tier=a) is the same in stage and in prod (ami.yml): give each environment its own groups.'],
    ],
    ['in two regions', two('groups: [web], region: eu-west-1', 'groups: [web], region: eu-central-1'), []],
    ['in two accounts', two('groups: [web], role-to-assume: "arn:a"', 'groups: [web], role-to-assume: "arn:b"'), []],
    ['twice in one environment', two('groups: [web, web]', 'groups: [b]'), []],
  ])('%s', (_, content, problems) => expect(conflicts(content)).toEqual(problems));

  test('a group under "with:" that another environment names', () => {
    const file = two('groups: [web-stage]', 'groups: [web-prod]');
    expect(conflicts(file, { groups: 'web-stage' }, 'prod')).toEqual([
      '4: "web-stage" is in "groups" of stage and in prod (ami.yml): give each environment its own groups.',
    ]);
    expect(conflicts(file, { groups: 'web-stage', 'adopt-groups': 'true' }, 'prod')).toEqual([]);
    expect(conflicts(file, { groups: 'web-stage', region: 'eu-west-1' }, 'prod')).toEqual([]);
  });

  test('a mode without groups shares none', () => {
    expect(conflicts(two('groups: [web]', 'groups: [web]'), {}, undefined, build)).toEqual([]);
  });

  test('ten thousand environments take no time', () => {
    const file = `groups: [web]\nenvironments:\n${Array.from({ length: 10_000 }, (_, i) => `  e${i}: {}`).join('\n')}`;
    expect(conflicts(file.slice(0, 99_000)).length).toBeGreaterThan(5000);
  });
});

test('trap T7: environments that share a pointer', () => {
  expect(conflicts(two('groups: [a]', 'groups: [b]', 'pointer: /deploy_ex/latest\n'))).toEqual([
    '2: "pointer" is the same in stage and in prod (ami.yml): add {environment} to it.',
  ]);
  expect(conflicts(two('pointer: "/s/{family}"', 'pointer: "/p/{family}"'))).toEqual([]);
  expect(conflicts(two('family: a', 'family: b', 'pointer: "/deploy/{family}"\n'))).toEqual([]);
});

describe('trap T1: the family of another service', () => {
  const file = 'family: orders\nchecks: [{name: x, command: "true"}]\nenvironments:\n  stage: { groups: [orders-stage] }\n';
  const message = (keys: string, are: string) =>
    `1: "family" is "edge" under "with:", but ${keys} of ami.yml ${are} for family "orders": set ${keys} under "with:" too, or "config" to the file of "edge"`;
  test.each<[string, Record<string, RawValue>, Settings, readonly string[]]>([
    ['the same family', { family: 'orders' }, promote, []],
    ['groups and checks of the file', { family: 'edge' }, promote, [message('"groups" and "checks"', 'are')]],
    ['checks of the file', { family: 'edge' }, validate, [message('"checks"', 'is')]],
    ['neither', { family: 'edge', groups: 'edge-stage', checks: '[]' }, promote, []],
    ['a mode that reads neither', { family: 'edge' }, build, []],
  ])('%s', (_, given, settings, problems) => expect(conflicts(file, given, 'stage', settings)).toEqual(problems));
});
