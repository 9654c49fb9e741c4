import { type Group, type Member, type Refresh, type TemplateUse, useKey } from '../../src/model/group.ts';
import type { Image } from '../../src/model/image.ts';
import type { LaunchConfiguration } from '../../src/model/launch-configuration.ts';
import type { TemplateVersion } from '../../src/model/template.ts';
import type { GroupFacts, PlanOptions } from '../../src/rollout/rules/facts.ts';

/** A group of two instances on version 3 of one template, and what a promotion wants of it. */

export const image = { id: 'ami-new', architecture: 'x86_64', tags: {} } as Image;
export const use = (version: string, templateId = 'lt-1'): TemplateUse => ({ templateId, templateName: 'web', version });
export const version = (number: number, change: Partial<TemplateVersion> = {}): TemplateVersion => ({
  templateId: 'lt-1',
  templateName: 'web',
  number,
  imageId: 'ami-old',
  instanceType: 't3.micro',
  content: '{"InstanceType":"t3.micro"}',
  snapshotIds: [],
  isDefault: false,
  description: '',
  ...change,
});
export const member = (id: string, change: Partial<Member> = {}): Member => ({
  id,
  state: 'InService',
  healthy: true,
  protected: false,
  template: use('3'),
  ...change,
});
export const group = (change: Partial<Group> = {}): Group => ({
  name: 'web',
  launch: { kind: 'template', template: use('3') },
  min: 0,
  max: 4,
  desired: 2,
  healthCheck: 'ELB',
  warmUpSeconds: 30,
  suspended: [],
  beingDeleted: false,
  members: [member('i-1'), member('i-2')],
  targetGroups: [],
  tags: {},
  ...change,
});
export const refresh = (change: Partial<Refresh> = {}): Refresh => ({
  id: 'r-1',
  group: 'web',
  status: 'InProgress',
  reason: '',
  percent: 50,
  toUpdate: 1,
  startedAt: undefined,
  desired: { kind: 'template', template: use('4') },
  ...change,
});
export const facts = (change: Partial<GroupFacts> = {}): GroupFacts => ({
  group: group(),
  active: undefined,
  activeIsOurs: false,
  successor: undefined,
  cannotCopy: [],
  hooks: [],
  nameTaken: false,
  warmPool: [],
  versions: new Map([[useKey(use('3')), version(3)]]),
  ready: new Map(),
  images: new Map([
    ['i-1', 'ami-old'],
    ['i-2', 'ami-old'],
  ]),
  architectures: new Map([['t3.micro', ['x86_64', 'i386']]]),
  latestUsers: new Map(),
  imageSnapshots: new Set(),
  alarms: new Map(),
  ...change,
});
export const configuration = (settings: LaunchConfiguration['settings'] = {}): LaunchConfiguration => ({
  name: 'lc',
  imageId: 'ami-old',
  instanceType: 't3.micro',
  settings: { InstanceType: 't3.micro', ...settings },
  content: '',
  snapshotIds: [],
});
export const wanted: PlanOptions = {
  image,
  bake: 300,
  rollTimeout: 7200,
  operation: 'promote',
  strategy: 'rolling',
  shiftAt: undefined,
  shift: undefined,
  pointer: { name: '/ami/web/stage', value: 'ami-old' },
  foreignRefresh: 'refuse',
  parameterTemplates: 'refuse',
};
