import { describe, expect, test } from '@jest/globals';
import {
  beforeTag,
  copyName,
  isCopy,
  isUnfinished,
  launchBefore,
  launchesAgain,
  launchKept,
  madeFor,
  madeTag,
  originalName,
  templateName,
  unfinishedTags,
} from '../../src/rollout/rules/configuration.ts';
import { configurationRefusals, differences, formatData, templateData } from '../../src/rollout/rules/conversion.ts';
import type { ConfigurationFacts } from '../../src/rollout/rules/facts.ts';
import { configuration, group, version } from './fixtures.ts';

describe('a launch configuration as a launch template, field by field', () => {
  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['the key', { KeyName: 'k' }, { KeyName: 'k' }],
    ['user data', { UserData: 'aGk=' }, { UserData: 'aGk=' }],
    ['security groups by ID', { SecurityGroups: ['sg-1', 'sg-2'] }, { SecurityGroupIds: ['sg-1', 'sg-2'] }],
    ['security groups by name', { SecurityGroups: ['web'] }, { SecurityGroups: ['web'] }],
    ['an instance profile by name', { IamInstanceProfile: 'web' }, { IamInstanceProfile: { Name: 'web' } }],
    ['an instance profile by ARN', { IamInstanceProfile: 'arn:aws:x' }, { IamInstanceProfile: { Arn: 'arn:aws:x' } }],
    ['detailed monitoring', { InstanceMonitoring: { Enabled: true } }, { Monitoring: { Enabled: true } }],
    ['EBS optimised', { EbsOptimized: false }, { EbsOptimized: false }],
    [
      'a spot price',
      { SpotPrice: '0.03' },
      { InstanceMarketOptions: { MarketType: 'spot', SpotOptions: { MaxPrice: '0.03', SpotInstanceType: 'one-time' } } },
    ],
    ['tenancy', { PlacementTenancy: 'dedicated' }, { Placement: { Tenancy: 'dedicated' } }],
    ['kernel and RAM disk', { KernelId: 'aki-1', RamdiskId: 'ari-1' }, { KernelId: 'aki-1', RamDiskId: 'ari-1' }],
    ['metadata options', { MetadataOptions: { HttpTokens: 'required' } }, { MetadataOptions: { HttpTokens: 'required' } }],
    [
      'a public address, with the security groups',
      { AssociatePublicIpAddress: true, SecurityGroups: ['sg-1'] },
      { NetworkInterfaces: [{ DeviceIndex: 0, AssociatePublicIpAddress: true, DeleteOnTermination: true, Groups: ['sg-1'] }] },
    ],
    [
      'volumes, which Auto Scaling deletes with the instance',
      {
        BlockDeviceMappings: [
          { DeviceName: '/dev/sdb', Ebs: { VolumeSize: 10 } },
          { DeviceName: '/dev/sdc', Ebs: { DeleteOnTermination: false } },
          { DeviceName: '/dev/sdd', NoDevice: true },
          { DeviceName: '/dev/sde', VirtualName: 'ephemeral0' },
        ],
      },
      {
        BlockDeviceMappings: [
          { DeviceName: '/dev/sdb', Ebs: { DeleteOnTermination: true, VolumeSize: 10 } },
          { DeviceName: '/dev/sdc', Ebs: { DeleteOnTermination: false } },
          { DeviceName: '/dev/sdd', NoDevice: '' },
          { DeviceName: '/dev/sde', VirtualName: 'ephemeral0' },
        ],
      },
    ],
  ])('%s', (_, settings, expected) => {
    expect(templateData(configuration(settings))).toEqual({ InstanceType: 't3.micro', ...expected });
  });

  test('the difference is found in either direction, at its path', () => {
    const data = { InstanceType: 't3.micro', Monitoring: { Enabled: true }, SecurityGroupIds: ['sg-1'] };
    expect(differences(data, { ...data, MetadataOptions: { State: 'pending' } })).toEqual([]);
    expect(differences(data, { ...data, Monitoring: { Enabled: false }, KeyName: 'k', SecurityGroupIds: [] })).toEqual([
      'Monitoring.Enabled',
      'SecurityGroupIds.0',
      'KeyName',
    ]);
  });

  test('user data may hold secrets', () => {
    expect(formatData({ KeyName: 'k', UserData: 'c2VjcmV0' })).toBe('KeyName=k, UserData (8 characters)');
  });
});

describe('what is refused', () => {
  const on = group({ launch: { kind: 'configuration', name: 'lc' } });
  const facts = (change: Partial<ConfigurationFacts> = {}): ConfigurationFacts => ({ now: configuration(), copyName: 'copy', ...change });
  const refusals = (
    of: ConfigurationFacts | undefined,
    launchConfigurations: 'refuse' | 'convert' | 'keep',
    strategy: 'rolling' | 'blue-green' | 'two-groups' = 'rolling',
  ) => configurationRefusals(on, of, new Set(['snap-root']), { launchConfigurations, strategy });
  const template = (tag: string, change = {}) => ({
    template: {
      templateId: 'lt-1',
      tags: { 'ami-action:launch-configuration': tag },
      first: version(1, change),
    },
  });

  test('by default, with the plan of the conversion', () => {
    expect(refusals(facts(), 'refuse')).toEqual([
      'it launches from launch configuration "lc", whose image cannot change. Create a launch template from it with "launch-configurations: convert" (lc- with InstanceType=t3.micro), or set "launch-configurations: keep" (creates copy)',
    ]);
  });

  test.each<[string, ConfigurationFacts | undefined, 'convert' | 'keep', readonly string[]]>([
    ['nothing', facts(), 'convert', []],
    ['nothing to keep', facts(), 'keep', []],
    ['the template of an earlier run, equal', facts(template('lc')), 'convert', []],
    ['one that is gone', undefined, 'keep', ['launch configuration "lc" does not exist, so the group can launch nothing']],
    [
      'ClassicLink',
      facts({ now: configuration({ ClassicLinkVPCId: 'vpc-1' }) }),
      'convert',
      [
        'launch configuration "lc" has ClassicLinkVPCId, which a launch template cannot express: create a launch configuration without it, or set "launch-configurations: keep"',
      ],
    ],
    [
      'names of security groups with a public address',
      facts({ now: configuration({ AssociatePublicIpAddress: true, SecurityGroups: ['web'] }) }),
      'convert',
      [
        'launch configuration "lc" names security groups (web), and with a public IP address a launch template takes IDs only: create a launch configuration without it, or set "launch-configurations: keep"',
      ],
    ],
    [
      'a snapshot that is not of the image',
      facts({ now: { ...configuration(), snapshotIds: ['snap-root', 'snap-data'] } }),
      'convert',
      [
        'launch configuration "lc" creates a volume from snap-data, which AWS does not copy to a new template version: create a launch configuration without it, or set "launch-configurations: keep"',
      ],
    ],
    ['the same, kept', facts({ now: { ...configuration(), snapshotIds: ['snap-data'] } }), 'keep', []],
    [
      'a template of another owner',
      facts(template('other')),
      'convert',
      [
        'launch template lc- exists, and was not made by ami-action (tag ami-action:launch-configuration): set the group to a numbered version of it, or rename it',
      ],
    ],
    [
      'a template without its first version',
      facts({ template: { templateId: 'lt-1', tags: { 'ami-action:launch-configuration': 'lc' }, first: undefined } }),
      'convert',
      ['launch template lc- exists without its version 1: delete the template if nothing launches from it'],
    ],
    [
      'IDs of security groups with a public address',
      facts({ now: configuration({ AssociatePublicIpAddress: true, SecurityGroups: ['sg-1'] }) }),
      'convert',
      [],
    ],
    ['names of security groups without a public address', facts({ now: configuration({ SecurityGroups: ['web'] }) }), 'convert', []],
    [
      'a template that differs',
      facts(template('lc', { content: '{"InstanceType":"t3.large"}' })),
      'convert',
      ['launch template lc- exists, and its version 1 differs from launch configuration "lc" in InstanceType: delete the template'],
    ],
    [
      'a copy of another owner',
      facts({ taken: true }),
      'keep',
      ['launch configuration copy exists, and is not the copy that ami-action makes: delete it'],
    ],
  ])('%s', (_, of, how, expected) => expect(refusals(of, how)).toEqual(expected));

  test.each(['blue-green', 'two-groups'] as const)('%s: a second group needs a launch template', strategy => {
    for (const how of ['convert', 'keep'] as const)
      expect(refusals(facts(), how, strategy)).toEqual([
        `it launches from launch configuration "lc", and "strategy: ${strategy}" needs a launch template: promote once with "strategy: rolling" and "launch-configurations: convert"`,
      ]);
  });
});

test('names: the original is found again, and two groups of one launch configuration have a copy each', () => {
  const name = copyName('web', 'lc', 'ami-0abc');
  expect(name).toMatch(/^lc-ami-action-[0-9a-f]{8}-ami-0abc$/);
  expect([originalName(name), originalName('lc'), copyName('web', name, 'ami-0abc')]).toEqual(['lc', 'lc', name]);
  expect(copyName('api', 'lc', 'ami-0abc')).not.toBe(name);
  expect([templateName('web: 1'), templateName('lc')]).toEqual(['web--1', 'lc-']);
  expect(templateName('x'.repeat(255))).toBe('x'.repeat(128));
  // The name of a launch configuration has at most 255 characters.
  expect(copyName('web', 'x'.repeat(255), `ami-${'0'.repeat(17)}`)).toMatch(/^x{180}-ami-action-[0-9a-f]{8}-ami-0{17}$/);
});

test('a copy differs in the image and its snapshots only', () => {
  const of = { ...configuration(), snapshotIds: ['snap-root', 'snap-data'] };
  const copy = { ...of, name: copyName('web', 'lc', 'ami-0abc'), imageId: 'ami-0abc', snapshotIds: ['snap-data'] };
  expect(isCopy(copy, of, 'ami-0abc')).toBe(true);
  expect([
    isCopy(copy, of, 'ami-0def'),
    isCopy({ ...copy, content: 'x' }, of, 'ami-0abc'),
    isCopy({ ...copy, snapshotIds: ['snap-x'] }, of, 'ami-0abc'),
    isCopy({ ...copy, snapshotIds: ['snap-data', 'snap-x'] }, of, 'ami-0abc'),
    isCopy({ ...copy, name: 'by-hand' }, of, 'ami-0abc'),
  ]).toEqual([false, false, false, false, false]);
  expect(isCopy({ ...copy, name: 'by-hand', snapshotIds: of.snapshotIds }, of, 'ami-0abc')).toBe(true);
});

describe('whose launch configurations a group has', () => {
  const launched = { launch: { kind: 'configuration', name: 'lc-copy' } } as const;

  test('only what a tag of ours names was made for it; only the tag of the rollout makes one unfinished', () => {
    const made = { [madeTag('ami-0abc')]: 'lc-copy', Name: 'web' };
    const unfinished = { ...made, [beforeTag('ami-0abc')]: 'lc' };
    expect(madeFor({ tags: unfinished })).toEqual([['ami-action:made-launch-configuration:ami-0abc', 'lc-copy']]);
    expect(madeFor({ tags: { Name: 'web', [`x-${madeTag('')}`]: 'other' } })).toEqual([]);
    expect(unfinishedTags({ tags: unfinished })).toEqual(['ami-action:launch-configuration-before:ami-0abc']);
    expect([
      isUnfinished(group({ ...launched, tags: unfinished })),
      isUnfinished(group({ ...launched, tags: made })),
      isUnfinished(group({ tags: unfinished })),
    ]).toEqual([true, false, false]);
  });

  test('what it launches before and after a rollout that keeps them', () => {
    const now = { ...configuration(), name: 'lc-copy' };
    expect([launchBefore({ now, copyName: 'x' }), launchBefore({ now, before: 'lc', copyName: 'x' })]).toEqual([
      { kind: 'configuration', name: 'lc-copy' },
      { kind: 'configuration', name: 'lc' },
    ]);
    expect(launchKept({ now, copyName: 'x' })).toBeUndefined();
    expect(launchKept({ now, ready: { ...now, name: 'x' }, copyName: 'x' })).toEqual({ kind: 'configuration', name: 'x' });
    expect([
      launchesAgain(group(launched), launched.launch),
      launchesAgain(group(), launched.launch),
      launchesAgain(undefined, launched.launch),
    ]).toEqual([true, false, false]);
  });
});
