import { expect, test } from '@jest/globals';
import { formatLaunch, formatTemplateUse, type Launch, sameLaunch } from '../../src/model/group.ts';

const template = (version: string, templateId = 'lt-1'): Launch => ({
  kind: 'template',
  template: { templateId, templateName: 'web', version },
});
const configuration = (name: string): Launch => ({ kind: 'configuration', name });

// A refresh has no name: it is ours if it leads to what we asked for.
test.each<[string, Launch | undefined, Launch | undefined, boolean]>([
  ['one version', template('2'), template('2'), true],
  ['another version', template('2'), template('3'), false],
  ['another template of the same name', template('2'), template('2', 'lt-2'), false],
  ['one launch configuration', configuration('a'), configuration('a'), true],
  ['another launch configuration', configuration('a'), configuration('b'), false],
  ['a template and a launch configuration', template('2'), configuration('a'), false],
  ['a launch configuration and a template', configuration('a'), template('2'), false],
  ['nothing and a template', undefined, template('2'), false],
  ['a template and nothing', template('2'), undefined, false],
])('%s', (_, a, b, same) => {
  expect(sameLaunch(a, b)).toBe(same);
});

test('a launch is named by its template, or the ID where there is no name', () => {
  expect(formatTemplateUse({ templateId: 'lt-1', templateName: '', version: '2' })).toBe('lt-1:2');
  expect([formatLaunch(template('2')), formatLaunch(configuration('a'))]).toEqual(['web:2', 'launch configuration a']);
});
