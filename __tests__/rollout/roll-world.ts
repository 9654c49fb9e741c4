import { type ActionError, UnreachableError } from '../../src/kit/errors.ts';
import type { CommitRange } from '../../src/model/commits-served.ts';
import { type Group, type Launch, type Refresh, type RefreshStatus, type TemplateUse, usesOf } from '../../src/model/group.ts';
import type { Image } from '../../src/model/image.ts';
import type { TemplateVersion } from '../../src/model/template.ts';
import { verdictValue } from '../../src/model/verdict.ts';
import type { AllDeps, RegionClients } from '../../src/ports/deps.ts';
import type { ParameterVersion } from '../../src/ports/groups.ts';

/** An account in memory that writes every call down in order. Refreshes play a script; what it replaces is what the desired version names. */

export const [A, B, C] = ['ami-aaaaaaaa', 'ami-bbbbbbbb', 'ami-cccccccc'] as const;
const REGION = 'eu-central-1';

export const image = (id: string, tags: Record<string, string> = {}): Image => ({
  id,
  name: id,
  state: 'available',
  stateReason: '',
  architecture: 'x86_64',
  ownerId: '111122223333',
  createdAt: new Date(0),
  public: false,
  tags: {
    'ami-action:family': 'web',
    'ami-action:verdict': verdictValue(id, { result: 'passed', checks: '0'.repeat(32), at: new Date(0) }),
    ...tags,
  },
  snapshotIds: [],
  sizeGiB: 8,
  encrypted: false,
  imdsV2: true,
  ena: true,
  deprecatedAt: undefined,
  lastLaunchedAt: undefined,
  protected: false,
});

export const use = (version: string, templateId = 'lt-1'): TemplateUse => ({ templateId, templateName: templateId, version });

export const group = (name: string, change: Partial<Group> = {}): Group => ({
  name,
  launch: { kind: 'template', template: use('1') },
  min: 0,
  max: 4,
  desired: 2,
  healthCheck: 'EC2',
  warmUpSeconds: 0,
  suspended: [],
  beingDeleted: false,
  members: ['a', 'b'].map(end => ({ id: `i-${name}-${end}`, state: 'InService', healthy: true, protected: false, template: use('1') })),
  targetGroups: [],
  tags: {},
  ...change,
});

export interface Start {
  readonly groups?: readonly Group[];
  /** What the pointer held, oldest first. */
  readonly pointer?: readonly string[];
  /** Statuses that a refresh shows, look after look; the last one stays. */
  readonly script?: readonly RefreshStatus[];
  readonly images?: readonly Image[];
  /** Instances that already run at first. */
  readonly was?: string;
  /** What GitHub knows of the run and the commits. */
  readonly commits?: CommitRange;
  readonly approvers?: readonly string[];
}

const POINTER = '/ami/web/stage';

export function rollWorld({
  groups = [group('web')],
  pointer = [A],
  script = ['InProgress', 'Baking', 'Baking', 'Successful'],
  images = [image(A), image(B), image(C)],
  was = A,
  commits,
  approvers = [],
}: Start = {}) {
  const log: string[] = [];
  const summaries: string[] = [];
  const state = {
    now: 0,
    launched: 0,
    groups: new Map(groups.map(each => [each.name, each])),
    images: new Map(images.map(each => [each.id, each])),
    /** Instance -> image. */
    runs: new Map<string, string>(groups.flatMap(({ members }) => members.map(({ id }) => [id, was] as const))),
    versions: [{ ...version(1, was) }, { ...version(1, was, 'lt-2') }] as TemplateVersion[],
    refreshes: [] as { refresh: Refresh; looks: number; before: Launch }[],
    parameters: new Map<string, ParameterVersion[]>(
      pointer.length === 0
        ? []
        : [
            [
              POINTER,
              pointer
                .map((value, i) =>
                  parameter(POINTER, value, i + 1, i === 0 ? 'by hand' : `ami-action promote: was ${pointer[i - 1]}, commit x, run y`),
                )
                .reverse(),
            ],
          ],
    ),
    script: [...script],
    /** Called before every call; a test may change the world behind our back here. */
    onCall: (_deed: string): void => {},
  };
  const call = (said: string) => {
    state.onCall(said);
    log.push(said);
  };
  const place = {
    ...parameterPort(state, call),
    ...groupPort(state, call),
    ...templatePort(state, call),
    ...imagePort(state, call),
    launchConfigurations: { get: async () => undefined, template: async () => undefined },
  } as unknown as RegionClients;
  const world = {
    inRegion: () => place,
    clock: {
      now: () => state.now,
      sleep: async (ms: number) => {
        state.now += ms;
      },
    },
    report: {
      step: (_: string, work: () => Promise<unknown>) => work(),
      info: (said: string) => log.push(`. ${said}`),
      warn: (said: string) => log.push(`! ${said}`),
      debug() {},
      untrusted() {},
      summary: (markdown: string, where?: 'above') => void (where === 'above' ? summaries.unshift(markdown) : summaries.push(markdown)),
      mask() {},
    },
    run: {
      id: '1',
      attempt: '1',
      job: 'test',
      actor: 'octocat',
      url: 'https://github.com/acme/web/actions/runs/1',
      repository: 'acme/web',
    },
    commits: { firstParents: async () => [], between: async () => commits },
    deployments: { begin: async () => 1, end: async () => undefined, approvers: async () => approvers },
  } as unknown as AllDeps;
  /** What was done, without what was merely said. */
  const calls = () => log.filter(line => !/^[.!] /.test(line));
  return {
    world,
    log,
    summaries,
    calls,
    state,
    pointerNow: () => state.parameters.get(POINTER)?.[0]?.value,
    candidate: () => state.parameters.get(`${POINTER}/candidate`)?.[0]?.value,
  };
}

export const version = (number: number, imageId: string, templateId = 'lt-1', description = ''): TemplateVersion => ({
  templateId,
  templateName: templateId,
  number,
  imageId,
  instanceType: 't3.micro',
  content: '{}',
  snapshotIds: [],
  isDefault: number === 1,
  description,
});

export const parameter = (name: string, value: string, number: number, description: string): ParameterVersion => ({
  name,
  value,
  version: number,
  type: 'String',
  dataType: 'aws:ec2:image',
  writtenAt: new Date(0),
  description,
  labels: [],
});

export const settings = {
  family: 'web',
  environment: 'stage',
  image: B,
  pointer: '/ami/{family}/{environment}',
  architecture: undefined,
  fallback: 'none' as const,
  repository: undefined,
  walk: 1,
  githubToken: undefined,
  comment: undefined,
  groups: ['web'],
  groupTags: undefined,
  stack: undefined,
  stackParameter: undefined,
  strategy: 'rolling' as const,
  shiftAt: undefined,
  shift: undefined,
  pace: 'safe' as const,
  minHealthy: undefined,
  maxHealthy: undefined,
  warmUp: undefined,
  checkpoints: undefined,
  checkpointDelay: undefined,
  bake: 60,
  alarms: undefined,
  protectedInstances: undefined,
  standbyInstances: undefined,
  rollTimeout: 7200,
  skipMatching: true,
  batchSize: undefined,
  order: 'parallel' as const,
  undo: 'all' as const,
  foreignRefresh: 'refuse' as const,
  parameterTemplates: 'refuse' as const,
  launchConfigurations: 'refuse' as const,
  nodeGroups: undefined,
  onCancel: 'leave' as const,
  hold: false,
  deployment: false,
  requireChecks: undefined,
  verdictKey: undefined,
  requireAttestation: undefined,
  allowedRefs: undefined,
  soakEnvironment: undefined,
  soakTime: undefined,
  pin: undefined,
  adoptGroups: false,
  release: false,
  freeze: undefined as string | undefined,
  windows: undefined as readonly string[] | undefined,
  emergency: false,
  checks: undefined,
  checksTimeout: 240,
  wait: true,
  liftVeto: false,
  dryRun: false,
  region: REGION,
  regions: [] as readonly string[],
  roleToAssume: undefined,
  roleDuration: 3600,
  roleChaining: false,
  allowInstanceRole: false,
  summary: true,
  fromRole: undefined,
  fromRegion: undefined,
  allowedAccountIds: undefined,
  tagPrefix: 'ami-action:',
  commitTag: 'ami-action:commit',
};

type State = ReturnType<typeof rollWorld>['state'];
type Call = (said: string) => void;

const parameterPort = (state: State, call: Call): Pick<RegionClients, 'parameters'> => ({
  parameters: {
    read: async name => state.parameters.get(name)?.[0],
    readAll: async names => names.map(name => state.parameters.get(name)?.[0]),
    history: async name => state.parameters.get(name) ?? [],
    write: async ({ name, value, description }) => {
      call(`write ${name} = ${value}`);
      const before = state.parameters.get(name) ?? [];
      const next = (before[0]?.version ?? 0) + 1;
      state.parameters.set(name, [parameter(name, value, next, description), ...before]);
      return next;
    },
    remove: async name => {
      call(`remove ${name}`);
      state.parameters.delete(name);
    },
  },
});

const imagePort = (state: State, call: Call) => ({
  images: {
    get: async (id: string) => state.images.get(id),
    find: async () => [...state.images.values()],
    tag: async ([id = '']: readonly string[], tags: Record<string, string>) => {
      call(`tag ${id} ${JSON.stringify(tags)}`);
      const known = state.images.get(id);
      if (known !== undefined) state.images.set(id, { ...known, tags: { ...known.tags, ...tags } });
    },
    untag: async ([id = '']: readonly string[], keys: readonly string[]) => {
      call(`untag ${id} ${keys.join()}`);
      const known = state.images.get(id);
      if (known !== undefined)
        state.images.set(id, { ...known, tags: Object.fromEntries(Object.entries(known.tags).filter(([key]) => !keys.includes(key))) });
    },
  },
  instances: { architectures: async () => ['x86_64'], console: async () => '' },
});

const templatePort = (state: State, call: Call): Pick<RegionClients, 'launchTemplates'> => ({
  launchTemplates: {
    version: async ({ templateId, version: asked }) => {
      const own = state.versions.filter(each => each.templateId === templateId);
      if (asked === '$Default') return own.find(({ isDefault }) => isDefault);
      return asked === '$Latest' ? own.at(-1) : own.find(({ number }) => String(number) === asked);
    },
    resolved: async ({ imageId }) => (imageId.startsWith('resolve:') ? state.parameters.get(POINTER)?.[0]?.value : imageId),
    withImage: async (templateId, imageId) => state.versions.filter(each => each.templateId === templateId && each.imageId === imageId),
    withImages: async (templateId, imageIds) =>
      state.versions.filter(each => each.templateId === templateId && imageIds.includes(each.imageId)),
    create: async ({ source, imageId, description }) => {
      const number = Math.max(...state.versions.filter(({ templateId }) => templateId === source.templateId).map(each => each.number)) + 1;
      call(`create ${source.templateId}:${number} from ${source.number} with ${imageId}`);
      const made = version(number, imageId, source.templateId, description);
      state.versions.push(made);
      return { version: made, warnings: [] };
    },
    remove: async ({ templateId, number }) => {
      call(`remove ${templateId}:${number}`);
      state.versions = state.versions.filter(each => !(each.templateId === templateId && each.number === number));
    },
  },
});

const groupPort = (state: State, call: Call): Pick<RegionClients, 'groups'> => ({
  groups: {
    find: async ({ names }) => [...state.groups.values()].filter(({ name }) => names === undefined || names.includes(name)),
    imagesOf: async ids => new Map(ids.flatMap(id => (state.runs.has(id) ? [[id, state.runs.get(id) as string]] : []))),
    refreshes: async name =>
      state.refreshes
        .filter(({ refresh }) => refresh.group === name)
        .map(({ refresh }) => refresh)
        .reverse(),
    refresh: async (_, id) => look(state, id),
    start: async ({ group: name, launch, preferences }) => {
      if (state.refreshes.some(({ refresh }) => refresh.group === name && ['Pending', 'InProgress', 'Baking'].includes(refresh.status)))
        return undefined;
      const id = `r-${state.refreshes.length + 1}`;
      call(
        `start ${id} of ${name} to ${usesOf(launch as Launch)
          .map(each => `${each.templateId}:${each.version}`)
          .join()}${preferences.autoRollback ? '' : ' without rollback'}`,
      );
      const before = (state.groups.get(name) as Group).launch;
      state.refreshes.push({
        refresh: { id, group: name, status: 'Pending', reason: '', percent: 0, toUpdate: 2, startedAt: undefined, desired: launch },
        looks: 0,
        before,
      });
      return id;
    },
    rollBack: async name => {
      call(`roll back ${name}`);
      const running = state.refreshes.findLast(({ refresh }) => refresh.group === name);
      if (running !== undefined) running.refresh = { ...running.refresh, status: 'RollbackInProgress' };
      return 'started';
    },
    targetHealth: async () => [],
    warmPool: async () => [],
    launches: async () => [],
    launchSeconds: async () => new Map(),
    unhealthy: async () => [],
    sources: async () => [],
    copyLimits: async () => ({ cannotCopy: [], hooks: [] }),
    create: async ({ from, as }) => {
      call(`copy ${from} as ${as}`);
      return 'created';
    },
    copyAttachments: async (from, as, suspended) =>
      call(`copy what hangs on ${from} to ${as}${suspended.length === 0 ? '' : `, suspend ${suspended}`}`),
    copySchedules: async (from, as) => call(`copy schedules of ${from} to ${as}`),
    attachTraffic: async (from, as) => call(`attach ${as} as ${from}`),
    detachTraffic: async name => call(`detach ${name}`),
    schedules: async () => [],
    suspend: async (name, processes) => call(`suspend ${processes.join()} of ${name}`),
    terminationSeconds: async () => 0,
    resize: async name => call(`resize ${name}`),
    remove: async name => call(`remove ${name}`),
    tag: async name => call(`tag ${name}`),
    untag: async name => call(`untag ${name}`),
    cancel: async name => call(`cancel ${name}`),
    setLaunch: async (name, launch) => {
      call(
        `set ${name} to ${usesOf(launch)
          .map(each => `${each.templateId}:${each.version}`)
          .join()}`,
      );
      state.groups.set(name, { ...(state.groups.get(name) as Group), launch });
    },
  },
});

/** One look further in the script; at the end of it the world is as AWS would leave it. */
function look(state: State, id: string): Refresh | undefined {
  const found = state.refreshes.find(({ refresh }) => refresh.id === id);
  if (found === undefined) return undefined;
  const { refresh } = found;
  const rolling = refresh.status === 'RollbackInProgress';
  const status = rolling ? 'RollbackSuccessful' : (state.script[Math.min(found.looks, state.script.length - 1)] as RefreshStatus);
  found.looks += 1;
  found.refresh = { ...refresh, status };
  if (status === 'Baking' || status === 'Successful') replace(state, refresh.group, refresh.desired as Launch);
  if (status === 'RollbackSuccessful') replace(state, refresh.group, found.before);
  if (status === 'Successful')
    state.groups.set(refresh.group, { ...(state.groups.get(refresh.group) as Group), launch: refresh.desired as Launch });
  return found.refresh;
}

/** Instances do not change their image: others take their place. */
function replace(state: State, name: string, launch: Launch): void {
  const current = state.groups.get(name) as Group;
  const [template] = usesOf(launch);
  const made = state.versions.find(({ templateId, number }) => templateId === template?.templateId && String(number) === template.version);
  if (made === undefined || current.members.every(({ id }) => state.runs.get(id) === made.imageId)) return;
  for (const { id } of current.members) state.runs.delete(id);
  const members = ['a', 'b'].map(end => ({
    id: `i-${name}-${end}${++state.launched}`,
    state: 'InService',
    healthy: true,
    protected: false,
    template,
  }));
  for (const { id } of members) state.runs.set(id, made.imageId);
  state.groups.set(name, { ...current, members });
}

/** A world whose ports a test replaces, and restores again. */
export function stage(start: Start = {}) {
  const made = rollWorld(start);
  const { groups: port, launchTemplates, parameters } = made.world.inRegion({ region: '' });
  const original = { ...port };
  return { ...made, groups: port, launchTemplates, parameters, restore: () => void Object.assign(port, original) };
}

export const failureOf = (work: Promise<unknown>): Promise<ActionError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    cause => cause,
  );

export const gone = new UnreachableError('Cannot reach AWS (look): ENOTFOUND', {
  next: 'Check region, network, proxy and certificates of the runner.',
});
