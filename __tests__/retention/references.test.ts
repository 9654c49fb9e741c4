import { describe, expect, test } from '@jest/globals';
import {
  aliasesIn,
  imageIdsIn,
  type LaunchSource,
  numberedVersions,
  pointerNames,
  type UserFacts,
  usersById,
  usersOf,
} from '../../src/model/image-users.ts';

const A = 'ami-0000000000000000a';
const B = 'ami-0000000000000000b';
const C = 'ami-0000000000000000c';
const D = 'ami-0000000000000000d';

const none: UserFacts = { instances: [], launchers: [], versions: [], parameters: [], aliases: new Map() };
const users = (facts: Partial<UserFacts>, rollbackDepth = 3) =>
  Object.fromEntries([...usersById({ ...none, ...facts }, rollbackDepth)].map(([id, all]) => [id, all.map(({ label }) => label)]));
const group = (...launches: LaunchSource[]) => ({ user: 'group web', launches });
const version = (number: number, imageId: string, current: 'default' | 'latest' | 'both' | 'neither' = 'neither') => ({
  templateId: 'lt-1',
  templateName: 'web',
  version: number,
  isDefault: current === 'default' || current === 'both',
  isLatest: current === 'latest' || current === 'both',
  imageId,
});
const wrote = (version: number, value: string, description = 'ami-action promote: was x, commit c') => ({ version, value, description });

describe('instances', () => {
  test.each(['pending', 'stopping', 'stopped', 'shutting-down', 'unknown'])('one that is %s uses its image', state => {
    expect(users({ instances: [{ id: 'i-1', state, imageId: A }] })).toEqual({ [A]: [`instance i-1 (${state})`] });
  });

  test('one that runs does, and one that is terminated never starts again', () => {
    const instances = [
      { id: 'i-1', state: 'running', imageId: A },
      { id: 'i-2', state: 'terminated', imageId: B },
    ];
    expect(users({ instances })).toEqual({ [A]: ['instance i-1'] });
  });
});

describe('launch templates', () => {
  const versions = [version(1, A), version(2, B, 'default'), version(3, C, 'latest')];

  test('the default and the latest version are in use although no launcher names them', () => {
    expect(users({ versions: versions.slice(1) })).toEqual({
      [B]: ['launch template web version 2 (default)'],
      [C]: ['launch template web version 3 (latest)'],
    });
  });

  test.each([
    ['1', A],
    ['$Default', B],
    ['', B],
    ['$Latest', C],
  ])('a group on version "%s" of it uses %s', (said, imageId) => {
    const all = users({ versions, launchers: [group({ template: 'lt-1', version: said })] });
    expect(all[imageId]).toEqual(expect.arrayContaining([expect.stringMatching(/^group web, by version \d of launch template web$/)]));
  });

  test('a group uses the version of its own template, and no other number', () => {
    const others = [{ ...version(1, A), templateId: 'lt-2', templateName: 'api' }, version(1, B), version(2, C)];
    expect(users({ versions: others, launchers: [group({ template: 'lt-1', version: '2' })] })).toEqual({
      [C]: ['group web, by version 2 of launch template web'],
    });
  });

  test('one of the newest versions that template-depth keeps is in use', () => {
    expect(users({ versions: [{ ...version(1, A), isRecent: true }] })).toEqual({ [A]: ['launch template web version 1 (recent)'] });
  });

  test('a volume that a launch makes of a snapshot uses the image that has it', () => {
    const all = usersById(
      {
        ...none,
        launchers: [{ ...group({ imageId: A }), snapshotIds: ['snap-1'] }],
        versions: [{ ...version(1, B, 'default'), snapshotIds: ['snap-1'] }],
      },
      3,
    );
    const labels = (id: string, ...snapshotIds: string[]) => usersOf(all, { id, snapshotIds }).map(({ label }) => label);
    expect(labels(C, 'snap-0', 'snap-1')).toEqual([
      'group web, for a volume from snap-1',
      'launch template web version 1, for a volume from snap-1',
    ]);
    expect(labels(C, 'snap-0')).toEqual([]);
    expect(labels(A, 'snap-1')).toEqual(['group web', ...labels(C, 'snap-1')]);
  });

  test('a group may name the template by its name', () => {
    expect(users({ versions: [version(1, A)], launchers: [group({ template: 'web', version: '1' })] })).toEqual({
      [A]: ['group web, by version 1 of launch template web'],
    });
  });

  test('a template that is gone launches nothing', () => {
    expect(users({ launchers: [group({ template: 'lt-gone', version: '1' })] })).toEqual({});
  });

  test('an override brings an image of its own', () => {
    expect(users({ launchers: [group({ imageId: D })] })).toEqual({ [D]: ['group web'] });
  });

  test('numbers are asked for, words are not', () => {
    const wanted = numberedVersions([
      group(
        { template: 'lt-1', version: '4' },
        { template: 'lt-1', version: '$Latest' },
        { template: 'lt-2', version: '7' },
        { imageId: A },
      ),
      {
        user: 'refresh r of group web',
        launches: [
          { template: 'lt-1', version: '5' },
          { template: 'lt-1', version: '4' },
        ],
      },
    ]);
    expect(Object.fromEntries(wanted)).toEqual({ 'lt-1': ['4', '5'], 'lt-2': ['7'] });
  });
});

describe('resolve:ssm', () => {
  const forms = [
    'resolve:ssm:/golden/web',
    'resolve:ssm:/golden/web:3',
    'resolve:ssm:/golden/web:stable',
    'resolve:ssm:arn:aws:ssm:eu-central-1:111122223333:parameter/golden/web',
  ];

  test.each(forms)('%s uses what the parameter means', form => {
    expect(users({ versions: [version(1, form, 'both')], aliases: new Map([[form, A]]) })).toEqual({
      [A]: ['launch template web version 1 (default and latest)'],
    });
  });

  test('every form is asked for once, wherever it stands; what AWS itself publishes is never ours', () => {
    const published = [
      'resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023',
      'resolve:ssm:arn:aws:ssm:eu-central-1::parameter/aws/service/x',
    ];
    const versions = [...forms, ...published].map((form, n) => version(n, form));
    expect(aliasesIn([group({ imageId: 'resolve:ssm:/other' }, { imageId: A }, { imageId: forms[0] as string })], versions)).toEqual([
      'resolve:ssm:/other',
      ...forms,
    ]);
  });

  test('one that means nothing launches nothing', () => {
    expect(users({ versions: [version(1, forms[0] as string, 'both')] })).toEqual({});
  });
});

describe('parameters', () => {
  test('every image ID in a value counts, whatever stands around it', () => {
    expect(imageIdsIn(`{"eu": "${A}", "us": "ami-12345678"},${A} ami-123 ami-0000000000000000z xami-0000000000000000c`)).toEqual([
      A,
      'ami-12345678',
    ]);
  });

  test('what a pointer held before stays, as far back as the depth says', () => {
    const history = [wrote(4, D), wrote(3, C), wrote(2, B), wrote(1, A)];
    expect(users({ parameters: [{ name: '/ami/web/prod', value: D, history }] }, 2)).toEqual({
      [D]: ['parameter /ami/web/prod'],
      [C]: ['parameter /ami/web/prod, to roll back to'],
      [B]: ['parameter /ami/web/prod, to roll back to'],
    });
  });

  test('after a rollback the next one further back stays, although a newer value lies between', () => {
    const history = [wrote(4, B, 'ami-action rollback: was x, commit b'), wrote(3, C), wrote(2, B), wrote(1, A)];
    expect(Object.keys(users({ parameters: [{ name: '/ami/web/prod', value: B, history }] }, 1)).sort()).toEqual([A, B, C]);
  });

  test('the depth counts images, not writes', () => {
    const history = [wrote(5, C), wrote(4, B), wrote(3, C), wrote(2, B), wrote(1, A)];
    expect(Object.keys(users({ parameters: [{ name: '/ami/web/prod', value: C, history }] }, 2)).sort()).toEqual([A, B, C]);
  });
});

describe('the names of pointers', () => {
  test.each([
    ['/ami/{family}/{environment}', ['/ami/web/prod', '/ami/web/prod/candidate'], ['/ami/web2/prod', '/ami/web', '/ami/other/prod']],
    [
      '/deploy/{environment}/{family}/latest_ami',
      ['/deploy/stage/web/latest_ami'],
      ['/deploy/stage/webx/latest_ami', '/deploy/a/b/web/latest_ami'],
    ],
    ['/a/{family}/{environment}-{architecture}', ['/a/web/prod-arm64'], ['/a/web/prod']],
    ['/fixed/{family}', ['/fixed/web', '/fixed/web/candidate'], ['/fixed/website']],
  ])('%s', (template, fits, doesNot) => {
    const names = pointerNames([template], 'web');
    expect(fits.map(name => names.pattern.test(name))).toEqual(fits.map(() => true));
    expect(doesNot.map(name => names.pattern.test(name))).toEqual(doesNot.map(() => false));
  });

  test('what one template calls a pointer is not something below that of another', () => {
    const { pattern } = pointerNames(['/ami/{family}', '/ami/{family}/{environment}'], 'web');
    const below = (name: string) => pattern.exec(name)?.groups?.['below'];
    expect(['/ami/web', '/ami/web/prod', '/ami/web/prod/candidate'].map(below)).toEqual([undefined, undefined, '/prod/candidate']);
  });

  test('a dot in a family is a dot', () => {
    expect(pointerNames(['/ami/{family}/{environment}'], 'web.v1').pattern.test('/ami/webxv1/prod')).toBe(false);
  });
});
