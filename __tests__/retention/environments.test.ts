import { describe, expect, test } from '@jest/globals';
import { pointerNames, type UserFacts } from '../../src/model/image-users.ts';
import { pointerDescription, runOf } from '../../src/model/pointer.ts';
import { environmentsOf } from '../../src/retention/rules/environments.ts';

/** Who runs what, since when, and by which run. */

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
