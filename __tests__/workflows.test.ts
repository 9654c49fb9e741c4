import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { goTool } from '../scripts/go-tools.ts';
import { kebab } from '../src/kit/settings.ts';
import { modes } from '../src/modes.ts';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly id?: string;
  readonly with?: Readonly<Record<string, string>>;
}
interface Job {
  readonly uses?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly 'timeout-minutes'?: number;
  readonly environment?: { readonly deployment?: boolean };
  readonly concurrency?: { readonly group?: string; readonly 'cancel-in-progress'?: boolean };
  readonly outputs?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly steps?: readonly Step[];
}
interface Workflow {
  readonly permissions?: unknown;
  readonly concurrency?: { readonly group: string; readonly 'cancel-in-progress': boolean };
  readonly on: {
    readonly push?: unknown;
    readonly workflow_dispatch?: { readonly inputs?: Readonly<Record<string, { readonly type: string }>> };
    readonly workflow_call?: {
      readonly inputs: Readonly<Record<string, { type: string; default?: string; description?: string }>>;
      readonly secrets?: Readonly<Record<string, { required: boolean }>>;
    };
  };
  readonly jobs: Readonly<Record<string, Job>>;
}

const root = join(import.meta.dirname, '..');
const PIPELINE = '.github/workflows/ami-pipeline.yml';
const callers = readdirSync(join(root, 'examples', 'workflows')).map(file => `examples/workflows/${file}`);
const read = (path: string) => parse(readFileSync(join(root, path), 'utf8')) as Workflow;
/** What actionlint prints, on success nothing. */
const lintOutput = (actionlint: string, input: string): string => {
  const { stdout } = spawnSync(actionlint, ['-no-color', '-shellcheck=', '-'], { cwd: root, input, encoding: 'utf8' });
  return stdout;
};

const OURS = /^(org\/ami-action|\$)(\/(?<mode>\w+))?(@v1)?$/;
const isOurs = ({ uses = '' }: Step) => OURS.test(uses);
/** A sub-action names its mode in its path, the root action under `with:`. */
const modeOf = ({ uses = '', with: settings }: Step) => OURS.exec(uses)?.groups?.['mode'] ?? settings?.['mode'] ?? '';

describe.each([PIPELINE, ...callers])('%s', path => {
  const workflow = read(path);
  const jobs = Object.entries(workflow.jobs);
  const steps = jobs.flatMap(([, job]) => (job.steps ?? []).map(step => ({ job, step })));

  test('grants nothing on top, and each job what it needs', () => {
    expect(workflow.permissions).toEqual({});
    for (const [, job] of jobs) {
      // A job that only waits for an approval, or only sends a message, gets no role.
      const usesAws = job.uses !== undefined || (job.steps ?? []).some(isOurs);
      expect(job.permissions).toMatchObject(usesAws ? { contents: 'read', 'id-token': 'write' } : {});
      expect(usesAws || job.permissions?.['id-token'] === undefined).toBe(true);
      expect(Object.values(job.permissions ?? {}).filter(level => level === 'write').length).toBeLessThanOrEqual(2);
    }
  });

  test('every job that runs has a time limit', () => {
    for (const [, job] of jobs) expect(job.uses !== undefined || (job['timeout-minutes'] ?? 0) > 0).toBe(true);
  });

  test('holds no bash', () => {
    expect(steps.filter(({ step }) => step.run !== undefined && !/^terraform -chdir=infra [\w =-]+$/.test(step.run))).toEqual([]);
  });

  test('what others wrote is pinned by commit', () => {
    const untrusted = steps.filter(({ step }) => step.uses !== undefined && !isOurs(step)).map(({ step }) => step.uses ?? '');
    expect(untrusted.filter(uses => !/^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/.test(uses))).toEqual([]);
  });

  test('a waiting run is never cancelled by a newer one', () => {
    for (const [, job] of jobs) if (job.concurrency !== undefined) expect(job.concurrency['cancel-in-progress']).toBe(false);
  });

  test('a job that may write deployments hands over the token that writes them', () => {
    const may = steps.filter(({ job, step }) => isOurs(step) && job.permissions?.['deployments'] === 'write');
    expect(
      may.filter(({ step }) => !/^\$\{\{ (secrets\.repository-token \|\| )?github\.token \}\}$/.test(step.with?.['github-token'] ?? '')),
    ).toEqual([]);
  });

  // GitHub would record a second one, with the commit of the workflow and not of the image.
  test('a job in an environment leaves the deployment to the action', () => {
    const inside = jobs.filter(([, job]) => job.environment !== undefined);
    expect(inside.filter(([, job]) => job.environment?.deployment !== false)).toEqual([]);
    const deploys = inside.filter(([, job]) => (job.steps ?? []).some(step => /promote|rollback/.test(modeOf(step))));
    expect(deploys.filter(([, job]) => job.permissions?.['deployments'] !== 'write')).toEqual([]);
  });

  test('every setting it gives is one of the mode, and every output it reads is written', () => {
    for (const { job, step } of steps.filter(({ step }) => isOurs(step))) {
      const mode = modes[modeOf(step)];
      expect(mode).toBeDefined();
      const known = ['mode', 'config', ...Object.keys(mode?.settings ?? {}).map(kebab)];
      expect(Object.keys(step.with ?? {}).filter(key => !known.includes(key))).toEqual([]);
      const outputs = ['outcome', ...Object.keys(mode?.outputs ?? {}).map(kebab)];
      const used = Object.values(job.outputs ?? {}).map(value => /outputs\.([\w-]+)/.exec(value)?.[1] ?? '');
      expect(used.filter(output => !outputs.includes(output))).toEqual([]);
    }
  });
});

test('the reusable workflow takes text with empty defaults only, so that the file can say it instead', () => {
  const inputs = Object.values(read(PIPELINE).on.workflow_call?.inputs ?? {});
  expect(inputs.length).toBeGreaterThan(5);
  expect(
    inputs.filter(({ type, default: fallback, description = '' }) => type !== 'string' || fallback !== '' || description === ''),
  ).toEqual([]);
});

// In the file a branch could change them, so the pipeline takes them from its caller, or from a variable that only admins change.
test('every setting reaches the jobs of the pipeline: through an input, or through the file, or the docs say why not', () => {
  const ofTheJob = ['dry-run', 'prepare', 'comment', 'github-token'];
  const { jobs } = read(PIPELINE);
  const scale = readFileSync(join(root, 'docs', 'scale.md'), 'utf8');
  const section = scale.slice(scale.indexOf('## Which setting where'));
  const given = Object.values(jobs).flatMap(({ steps = [] }) =>
    steps.flatMap(({ uses, with: to = {} }) => {
      const mode = /^\$\/(\w+)$/.exec(uses ?? '')?.[1];
      return mode === undefined ? [] : [{ mode, to }];
    }),
  );
  expect(given.map(({ mode }) => mode)).toEqual(['build', 'validate', 'share', 'share', 'share', 'promote', 'prune']);
  for (const { mode, to } of given.filter(one => one.to['prepare'] === undefined)) {
    const guards = Object.entries(modes[mode]?.settings ?? {}).filter(([, { withOnly }]) => withOnly === true);
    const missing = guards.map(([key]) => kebab(key)).filter(name => to[name] === undefined && !ofTheJob.includes(name));
    expect([mode, missing]).toEqual([mode, []]);
  }
  const outside = Object.keys(modes).filter(mode => !given.some(one => one.mode === mode));
  expect(outside.length).toBeGreaterThan(3);
  expect([...ofTheJob, ...outside].filter(name => !section.includes(`\`${name}\``))).toEqual([]);
});

test('every other setting of every mode may stand in the file: the JSON Schema has it at the top, in environments and by mode', () => {
  const { properties } = JSON.parse(readFileSync(join(root, 'ami.schema.json'), 'utf8')) as {
    properties: Record<string, { additionalProperties?: { properties: object }; properties?: Record<string, { properties: object }> }>;
  };
  for (const [mode, { settings }] of Object.entries(modes)) {
    const ofFile = Object.entries(settings).flatMap(([key, { withOnly, secret }]) => (withOnly || secret ? [] : [kebab(key)]));
    const sections = [
      properties,
      properties['environments']?.additionalProperties?.properties,
      properties['by-mode']?.properties?.[mode]?.properties,
    ];
    for (const section of sections) expect([mode, ofFile.filter(name => !Object.hasOwn(section ?? {}, name))]).toEqual([mode, []]);
  }
});

// github-security.md H5: an empty text would mean the default of the mode, which may be another image.
test('a job that gets an image from the build names one, or fails', () => {
  const given = Object.values(read(PIPELINE).jobs).flatMap(({ steps = [] }) => steps.flatMap(({ with: to }) => to?.['image'] ?? []));
  expect(given.length).toBe(5);
  expect(given.filter(image => !image.endsWith(" || 'several-images' }}"))).toEqual([]);
});

/** Inputs of the pipeline that are no setting of a mode, or another one than their name says. */
const OWN_INPUTS = ['approval', 'architectures', 'config', 'promote-role-to-assume', 'prune-roles', 'prune', 'runner', 'share'];

test('the inputs of the pipeline are settings of its modes, and each is read', () => {
  const text = readFileSync(join(root, PIPELINE), 'utf8');
  const inputs = Object.keys(read(PIPELINE).on.workflow_call?.inputs ?? {});
  const known = ['build', 'validate', 'share', 'promote', 'prune'].flatMap(mode => Object.keys(modes[mode]?.settings ?? {}).map(kebab));
  expect(inputs.filter(name => !known.includes(name) && !OWN_INPUTS.includes(name))).toEqual([]);
  expect(OWN_INPUTS.filter(name => !inputs.includes(name))).toEqual([]);
  expect(inputs.filter(name => !text.includes(`inputs.${name} `) && !text.includes(`inputs.${name})`))).toEqual([]);
});

// https://docs.github.com/en/actions/reference/workflows-and-actions/contexts#vars-context
test('guards are variables first: who changes a workflow cannot take them away', () => {
  const promote = read(PIPELINE).jobs['promote']?.steps?.find(({ uses }) => uses === '$/promote')?.with ?? {};
  const guards = [
    'allowed-refs',
    'require-checks',
    'soak-environment',
    'soak-time',
    'freeze',
    'windows',
    'pin',
    'verdict-key',
    'allowed-account-ids',
  ];
  for (const guard of guards)
    expect(promote[guard]).toBe(`\${{ vars.AMI_${guard.toUpperCase().replaceAll('-', '_')} || inputs.${guard} }}`);
});

/** The group of a job for these inputs, as GitHub evaluates it. */
function groupOf(path: string, job: string, inputs: Readonly<Record<string, string>>): string {
  const { group = '', ...rest } = read(path).jobs[job]?.concurrency ?? {};
  // Nothing that waits is lost. https://docs.github.com/en/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency
  expect([path, job, rest]).toEqual([path, job, { 'cancel-in-progress': false, queue: 'max' }]);
  const known: Readonly<Record<string, string>> = { 'github.repository': 'acme/web' };
  const evaluate = (operand: string) =>
    /^'(.*)'$/.exec(operand)?.[1] ?? known[operand] ?? inputs[/^inputs\.([\w-]+)$/.exec(operand)?.[1] ?? operand] ?? '';
  return group.replace(
    /\$\{\{ (.*?) \}\}/g,
    (_, expression: string) =>
      expression
        .split(' || ')
        .map(evaluate)
        .find(value => value !== '') ?? '',
  );
}

const [ROLLBACK, PRUNE] = ['examples/workflows/ami-rollback.yml', 'examples/workflows/ami-prune.yml'];

test.each([
  ['one service', {}, '.github/ami.yml'],
  ['one service, whose file is named', { config: '.github/ami.yml' }, '.github/ami.yml'],
  ['a service of several', { config: 'services/orders/ami.yml' }, 'services/orders/ami.yml'],
])('%s: promotions, rollbacks and prunes have the groups of its file and environment', (_, given: Record<string, string>, file) => {
  for (const environment of ['stage', 'prod']) {
    const inputs = { ...given, environment };
    expect(groupOf(PIPELINE, 'promote', inputs)).toBe(`ami-acme/web-${environment}-${file}`);
    // A job that waits for reviewers is in its group, and must not block a rollback: docs/scale.md, "Queues".
    expect(groupOf(ROLLBACK, 'rollback', inputs)).toBe(`${groupOf(PIPELINE, 'promote', inputs)}-rollback`);
    expect(groupOf(PIPELINE, 'prune', inputs)).toBe(`ami-acme/web-prune-${file}`);
  }
  if (file === '.github/ami.yml') expect(groupOf(PRUNE, 'apply', {})).toBe(groupOf(PIPELINE, 'prune', given));
});

test('no other job is in these groups, and the docs list them', () => {
  const all = [PIPELINE, ...callers].flatMap(path =>
    Object.entries(read(path).jobs).flatMap(([job, { concurrency }]) => (concurrency === undefined ? [] : [`${path} ${job}`])),
  );
  expect(all).toEqual([`${PIPELINE} promote`, `${PIPELINE} prune`, `${PRUNE} apply`, `${ROLLBACK} rollback`]);
  const wholes = callers.flatMap(path => read(path).concurrency?.group ?? []);
  expect(wholes.filter(group => group.includes('github.repository'))).toEqual([]);
  const scale = readFileSync(join(root, 'docs', 'scale.md'), 'utf8');
  const documented = [
    'ami-acme/web-prod-.github/ami.yml',
    'ami-acme/web-prod-.github/ami.yml-rollback',
    'ami-acme/web-prune-.github/ami.yml',
  ];
  expect(documented.filter(group => !scale.includes(`| \`${group}\` |`))).toEqual([]);
});

// A job that waits for reviewers would hold its group for up to 30 days.
test('what waits for an approval is in no queue, and has no role', () => {
  for (const [path, job] of [
    [PIPELINE, 'approve'],
    ['examples/workflows/ami-prune.yml', 'approve'],
  ] as const) {
    const { concurrency, permissions, environment } = read(path).jobs[job] ?? {};
    expect([path, concurrency, permissions, environment?.deployment]).toEqual([path, undefined, { contents: 'read' }, false]);
  }
});

test('a form asks for a flag with a checkbox, and for nothing else', () => {
  const flags = new Set(
    Object.values(modes).flatMap(({ settings }) =>
      Object.entries(settings).flatMap(([key, { schema }]) =>
        schema().safeParse('true').success && !schema().safeParse('x').success ? [kebab(key)] : [],
      ),
    ),
  );
  const asked = callers.flatMap(path =>
    Object.entries(read(path).on.workflow_dispatch?.inputs ?? {}).map(([name, { type }]) => [name, type === 'boolean'] as const),
  );
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.filter(([name, isBox]) => isBox !== flags.has(name))).toEqual([]);
});

test('callers give the reusable workflow only what it takes', () => {
  const known = Object.keys(read(PIPELINE).on.workflow_call?.inputs ?? {});
  const given = callers.flatMap(path => Object.values(read(path).jobs).flatMap(job => Object.keys(job.with ?? {})));
  expect(given.filter(key => !known.includes(key))).toEqual([]);
});

test('the example for a private repository shows where the token goes, and it goes there', () => {
  const follow = 'examples/workflows/ami-follow.yml';
  const said = readFileSync(join(root, follow), 'utf8').replace(/^( *)# (secrets:| {2}[\w-]+: \$)/gm, '$1$2');
  const { secrets = {} } = (parse(said) as Workflow).jobs['follow'] ?? {};
  const known = read(PIPELINE).on.workflow_call?.secrets ?? {};
  const [given = ''] = Object.keys(secrets);
  expect([given, Object.keys(known)]).toEqual(['repository-token', ['repository-token', 'secret-var']]);
  const takes = Object.values(read(PIPELINE).jobs).flatMap(({ steps = [] }) =>
    steps.filter(({ with: to }) => to?.['repository'] !== undefined),
  );
  expect(takes.map(({ with: to }) => to?.['github-token'])).toEqual(['${{ secrets.repository-token || github.token }}']);
});

// A group that the jobs of the pipeline have, too, would make the run wait for itself.
test('pushes come one after the other, in a group of their own', () => {
  const pushed = callers.map(read).filter(({ on }) => on.push !== undefined);
  expect(pushed.length).toBeGreaterThan(1);
  for (const { concurrency } of pushed) expect(concurrency).toEqual({ group: 'ami-push', 'cancel-in-progress': false });
  const groups = Object.values(read(PIPELINE).jobs).flatMap(({ concurrency }) => (concurrency === undefined ? [] : [concurrency.group]));
  expect(groups.every(group => /^ami-\$\{\{.*\}\}-/.test(group ?? ''))).toBe(true);
});

/** Keys of GitHub that actionlint 1.7.12 does not know: `uses: $/path` (July 2026) and `concurrency.queue` (May 2026). */
const UNKNOWN_TO_ACTIONLINT = [
  '-ignore',
  'specifying action "\\$/\\w+" in invalid format',
  '-ignore',
  'unexpected key "queue" for "concurrency"',
];

test('actionlint finds nothing', async () => {
  const actionlint = await goTool('actionlint');
  const all = [...readdirSync(join(root, '.github', 'workflows')).map(file => `.github/workflows/${file}`), ...callers];
  expect(execFileSync(actionlint, ['-no-color', ...UNKNOWN_TO_ACTIONLINT, ...all], { cwd: root, encoding: 'utf8' })).toBe('');
});

test('actionlint finds nothing in what the docs say to paste', async () => {
  const actionlint = await goTool('actionlint');
  const files = ['README.md', ...(readdirSync(join(root, 'docs'), { recursive: true }) as string[]).map(file => `docs/${file}`)].filter(
    file => file.endsWith('.md'),
  );
  const blocks = files.flatMap(file =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) => block),
  );
  const job = 'on: push\njobs:\n  all:\n    runs-on: ubuntu-24.04\n    steps:\n';
  const workflows = blocks.flatMap(block => {
    if (block.startsWith('on:')) return [block];
    return block.startsWith('- ') ? [`${job}${block.replace(/^/gm, '      ').trimEnd()}\n`] : [];
  });
  expect(workflows.length).toBeGreaterThan(10);
  for (const input of workflows) expect(lintOutput(actionlint, input)).toBe('');
});
