import { describe, expect, test } from '@jest/globals';
import { pointerNames, type UserFacts } from '../../src/model/image-users.ts';
import { pointerDescription, runOf } from '../../src/model/pointer.ts';
import { driftOf } from '../../src/retention/rules/drift.ts';
import { environmentsOf } from '../../src/retention/rules/environments.ts';
import { promotionsOf } from '../../src/retention/rules/history.ts';
import { image } from '../rollout/roll-world.ts';

/** Who runs what, since when, by which run, and who promoted what. */

const [A, B] = ['ami-00000000000000001', 'ami-00000000000000002'];
const pointers = pointerNames(['/ami/{family}/{environment}'], 'web');
const run = (id: number) => `https://github.com/acme/web/actions/runs/${id}`;
const written = (version: number, value: string, description: string) => ({
  version,
  value,
  description,
  writtenAt: new Date(version * 1000),
});
const promoted = (was: string | undefined, id: number) =>
  pointerDescription('promote', { was, commit: 'c0ffee', run: `${run(id)} attempt 1` });
const facts = (history: UserFacts['parameters'][number]['history'], change: Partial<UserFacts> = {}): UserFacts => ({
  ...{ instances: [], launchers: [], versions: [], aliases: new Map() },
  parameters: [{ name: '/ami/web/prod', value: history[0]?.value ?? B, history }],
  ...change,
});

test('the run that wrote a pointer names itself, and nothing else is taken for one', () => {
  expect([promoted(A, 7), 'by hand, run https://evil.example', ''].map(runOf)).toEqual([run(7), undefined, undefined]);
  expect(runOf(pointerDescription('rollback', { was: A, commit: undefined, run: 'outside GitHub' }))).toBe('outside GitHub');
});

describe('an environment', () => {
  test('runs its image since the write that made it current: a second write of the same value changed nothing', () => {
    const history = [written(3, B, promoted(A, 9)), written(2, B, promoted(A, 8)), written(1, A, 'by hand')];
    expect(environmentsOf(facts(history), pointers)).toEqual([
      { name: 'prod', pointer: '/ami/web/prod', imageId: B, previousId: A, since: new Date(2000), run: run(8), groups: [] },
    ]);
  });

  test('that another process wrote has no run', () => {
    expect(environmentsOf(facts([written(1, A, 'by hand')]), pointers)).toMatchObject([{ run: undefined, since: new Date(1000) }]);
    expect(environmentsOf(facts([]), pointers)).toMatchObject([{ run: undefined, since: undefined }]);
  });

  test('shows the groups that launch the image, with the instances that run it', () => {
    const launcher = (group: string, imageId: string) => ({ user: `group ${group}`, group, launches: [{ imageId }] });
    const instance = (id: string, imageId: string, group: string, state = 'running') => ({ id, imageId, group, state });
    const launchers = [launcher('web', B), launcher('other', A), { user: 'launch configuration x', launches: [{ imageId: B }] }];
    const instances = [
      instance('i-1', B, 'web'),
      instance('i-2', A, 'web'),
      instance('i-3', B, 'web', 'terminated'),
      instance('i-4', B, 'other'),
    ];
    expect(environmentsOf(facts([written(1, B, '')], { launchers, instances }), pointers)).toMatchObject([
      { groups: [{ name: 'web', instances: 1 }] },
    ]);
  });
});

describe('two environments that run one image', () => {
  const parameter = (name: string) => ({ name, value: B, history: [written(1, B, '')] });
  const launcher = (group: string, template = 'lt-plain') => ({
    ...{ user: `group ${group}`, group },
    launches: [{ template, version: '1' }],
  });
  const version = (templateId: string, imageId: string) => ({
    ...{ templateId, templateName: templateId, version: 1, imageId, isDefault: true, isLatest: true },
  });
  const both = (launchers: UserFacts['launchers'], change: Partial<UserFacts> = {}): UserFacts => ({
    ...{ instances: [], versions: [version('lt-plain', B)], aliases: new Map(), launchers },
    parameters: [parameter('/ami/web/stage'), parameter('/ami/web/prod')],
    ...change,
  });
  const shown = (given: UserFacts, named: Record<string, readonly string[]> = {}) =>
    Object.fromEntries(environmentsOf(given, pointers, named).map(({ name, groups }) => [name, groups.map(group => group.name)]));
  const named = { stage: ['web-stage'], prod: ['web-prod'] };

  test('each has the groups that the file names for it; a green group belongs to that of the one it replaced', () => {
    expect(shown(both([launcher('web-stage'), launcher('web-prod-green')]), named)).toEqual({
      stage: ['web-stage'],
      prod: ['web-prod-green'],
    });
  });

  test('a group that the file does not name is shown at both, unless its template reads one of the pointers', () => {
    const versions = [version('lt-plain', B), version('lt-reads', 'resolve:ssm:/ami/web/prod')];
    const aliases = new Map([['resolve:ssm:/ami/web/prod', B]]);
    expect(shown(both([launcher('other'), launcher('reads', 'lt-reads')], { versions, aliases }), named)).toEqual({
      stage: ['other'],
      prod: ['other', 'reads'],
    });
  });

  test('an environment that only the file has takes no group away', () => {
    expect(shown(both([launcher('web-qa')]), { ...named, qa: ['web-qa'] })).toEqual({ stage: ['web-qa'], prod: ['web-qa'] });
  });

  test('a group that launches the image of the other environment has drifted', () => {
    const moved = both([launcher('web-prod')], { parameters: [parameter('/ami/web/stage'), { ...parameter('/ami/web/prod'), value: A }] });
    const scheme = { prefix: 'ami-action:', commitKey: 'ami-action:commit' };
    const drift = (groups: Record<string, readonly string[]>) =>
      driftOf([image(A), image(B)], moved, pointers, scheme, groups).flatMap(({ who, says }) => (who.startsWith('group') ? [says] : []));
    expect([drift(named), drift({})]).toEqual([[`launches ${B}, which /ami/web/prod does not name`], []]);
  });
});

describe('who promoted what', () => {
  const promoted7 = written(2, B, promoted(A, 7));
  const deployed = (by: string, at: number, imageId = B) => ({ imageId, by, at: new Date(at) });
  const history = (...deployments: ReturnType<typeof deployed>[]) =>
    promotionsOf(facts([promoted7, written(1, A, 'by hand')]), pointers, new Map([['prod', deployments]]));

  test('the pointer says when and by which run; the newest deployment of the image that began before says who started it', () => {
    expect(history(deployed('later', 3000), deployed('octocat', 1999), deployed('earlier', 1500), deployed('other', 1990, A))).toEqual([
      { environment: 'prod', imageId: B, at: new Date(2000), operation: 'promote', run: run(7), by: 'octocat' },
      { environment: 'prod', imageId: A, at: new Date(1000), operation: undefined, run: undefined, by: undefined },
    ]);
  });

  test('without deployments no user is named, and a second write of the same value is no promotion', () => {
    const twice = promotionsOf(facts([written(3, B, promoted(A, 8)), promoted7, written(1, A, '')]), pointers, new Map());
    expect(twice.map(({ at, by }) => [at.getTime(), by])).toEqual([
      [2000, undefined],
      [1000, undefined],
    ]);
  });
});
