import { randomBytes } from 'node:crypto';
import { checksHash, checksSchema } from '../domain/checks.ts';
import { conclude, type Validation } from '../domain/validation.ts';
import { duration, flag, list, map, optional, text, yaml } from '../kit/fields.ts';
import { code, text as plain, table } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { readDeliveries, readUserData } from '../steps/deliveries.ts';
import { checkGates, chooseTypes, GATE, GATES, waitAvailable } from '../steps/preflight.ts';
import { schemeOf, selectImage, selection } from '../steps/select.ts';
import { type TrialOrder, tryAll } from '../steps/trial.ts';
import { refusal, tellValidation, validationOutputs } from '../steps/validation-end.ts';
import { storeVerdict } from '../steps/verdict.ts';
import type { Powers } from '../world.ts';
import { common, dryRun, family } from './shared.ts';

// Needs an image and declared checks.
// Leaves behind a verdict on the image, a report, and no instance.

export const settings = {
  family,
  checks: yaml(
    'What the image must do on a machine made of it: a YAML list of ready-made checks by name, `command` or `script`.',
    checksSchema,
  ),
  instanceType: list(
    'Machines to try it on, one a line, in parallel; `t3.micro | t3a.micro` is one machine with a stand-in. Default: t3.micro, or t4g.micro for arm64.',
    {
      fallback: '',
      pattern: /^[a-z0-9-]+\.[a-z0-9-]+( *\| *[a-z0-9-]+\.[a-z0-9-]+)*$/,
      says: 'must be an instance type such as t3.small, or several with " | " between them',
    },
  ),
  instanceProfile: optional(
    text('Instance profile (name or ARN) with AmazonSSMManagedInstanceCore. Not needed where Default Host Management is on.', {
      pattern: /^(arn:aws[a-z-]*:iam::\d{12}:instance-profile\/)?[\w+=,.@/-]{1,200}$/,
      says: 'must be the name or ARN of an instance profile',
    }),
  ),
  ...selection(undefined),
  ...common,
  dryRun: dryRun(false),
  subnet: list('Subnets for the machine; the next one where AWS has no room in the one before. Default: one of the default VPC.', {
    fallback: '',
    pattern: /^subnet-[0-9a-f]{8,17}$/,
    says: 'must be a subnet ID',
    neededBy: 'accounts without a default VPC',
  }),
  securityGroups: list('Security groups of the machine; it needs 443 out, nothing in.', {
    fallback: '',
    pattern: /^sg-[0-9a-f]{8,17}$/,
    says: 'must be a security group ID',
    neededBy: 'accounts whose default group lets nothing out',
  }),
  reboot: flag('Check, reboot, check again.', false, { neededBy: 'images that live longer than one boot' }),
  maxBootTime: optional(
    duration('From launch to the SSM agent at most; longer is a failure.', { minSeconds: 1, neededBy: 'groups that must scale out fast' }),
  ),
  require: list('What the image itself must be, without a machine: `private`, `encrypted`, `imds-v2`, `ena`.', {
    fallback: 'private',
    pattern: GATE,
    says: `must be one of ${GATES.join(', ')}`,
    neededBy: 'teams with rules for all images',
  }),
  baseMaxAge: optional(
    duration('How old the base image may be that it was built from (tag `ami-action:base-ami`).', {
      neededBy: 'teams with rules for all images',
    }),
  ),
  keepOnFailure: duration('How long a machine on which something failed stays, for a look; it still ends itself.', {
    fallback: '0s',
    maxSeconds: 86_400,
    neededBy: 'whoever has to find out why',
  }),
  userData: optional(
    text('File with user data for the machine, in the workspace.', { neededBy: 'images that need their user data to come up' }),
  ),
  tags: map('Tags of your own on the machine and its volumes.', { fallback: '{}', neededBy: 'accounts that demand cost tags' }),
  bootTimeout: duration('From launch to running.', { fallback: '10m', minSeconds: 10, maxSeconds: 7200, neededBy: 'large images' }),
  agentTimeout: duration('From running to the SSM agent.', {
    fallback: '10m',
    minSeconds: 10,
    maxSeconds: 7200,
    neededBy: 'images that boot slowly',
  }),
  junit: optional(text('File for the results as JUnit XML, in the workspace.', { neededBy: 'workflows with a test reporter' })),
  json: optional(text('File for the results as JSON, with what the checks printed.', { neededBy: 'scripts that read the results' })),
  checksTimeout: duration('For all checks together.', { fallback: '15m', minSeconds: 10, maxSeconds: 21_600, neededBy: 'long suites' }),
};

export const outputs = {
  verdict: '`passed`, `failed` or `inconclusive`; only `passed` may be promoted.',
  amiId: 'The image.',
  passed: 'How many checks passed, over all machines.',
  failed: 'How many failed.',
  checks: 'Hash of what was asked; `require-checks` of promote wants it.',
  instanceId: 'The machine, when there was one.',
  report: 'JSON: every machine with its timeline and its checks.',
};

type World = Powers<'images' | 'machines' | 'commands' | 'parameters', 'journal' | 'files' | 'commits'>;
type Wanted = Values<typeof settings>;

export async function run(wanted: Wanted, world: World) {
  const { report, clock, files } = world;
  const place = world.at({ region: wanted.region });
  const scheme = schemeOf(wanted);

  const deliveries = await readDeliveries(wanted.checks, files);
  const userData = await readUserData(wanted.userData, files);
  const checks = checksHash(wanted.checks, deliveries, demandsOf(wanted));
  const selected = await report.step(`Resolve ${wanted.image}`, () => selectImage(wanted, world));
  const image = await report.step(`Look at ${selected.image.id}`, () => waitAvailable(selected.image, wanted.bootTimeout, place, world));
  const broken = await report.step('Check what needs no machine', () => checkGates(image, wanted, scheme, place, clock.now()));
  const legs = await report.step('Choose machines', () => chooseTypes(wanted.instanceType, image, place));
  report.info(`${wanted.checks.length} checks (${checks}) of ${image.id} on ${legs.map(types => types.join(' or ')).join(', ')}.`);
  if (wanted.dryRun) {
    report.summary(planPage(wanted, image.id, legs, broken));
    return { outcome: 'planned' as const, outputs: { amiId: image.id, checks } };
  }

  const order = { ...orderOf(wanted, clock.now()), image, scheme, deliveries, userData };
  const trials = broken.length > 0 ? [] : await tryAll(legs, order, wanted.region, world);
  const found = broken.length > 0 ? { result: 'failed' as const, because: broken.join('; ') } : conclude(trials);
  const validation: Validation = { imageId: image.id, family: wanted.family, checks, trials, ...found };
  await tellValidation(validation, { junit: wanted.junit, json: wanted.json }, world);
  const { result } = validation;
  if (result !== 'inconclusive') {
    const verdict = { result, checks, at: new Date(clock.now()) };
    await report.step('Store the verdict', () => storeVerdict(image, verdict, { scheme, family: wanted.family }, place, world));
  }
  const refused = refusal(validation);
  if (refused !== undefined) throw refused;
  return { outcome: 'done' as const, outputs: validationOutputs(validation) };
}

const SPARE_SECONDS = 15 * 60;

/** Part of what the verdict is about, beside the checks; what is not asked for does not change the hash. */
const demandsOf = ({ reboot, maxBootTime, require, baseMaxAge }: Wanted) => ({
  reboot: reboot || undefined,
  maxBootTime,
  require: [...require].sort(),
  baseMaxAge,
});

/** What all machines have in common. */
function orderOf(
  wanted: Wanted,
  now: number,
): Omit<TrialOrder, 'image' | 'scheme' | 'errand' | 'deliveries' | 'instanceTypes' | 'userData'> {
  const passes = wanted.reboot ? 2 : 1;
  const seconds = passes * (wanted.bootTimeout + wanted.agentTimeout + wanted.checksTimeout) + wanted.keepOnFailure + SPARE_SECONDS;
  return {
    family: wanted.family,
    checks: wanted.checks,
    nonce: randomBytes(8).toString('hex'),
    subnets: wanted.subnet,
    securityGroupIds: wanted.securityGroups,
    instanceProfile: wanted.instanceProfile,
    tags: wanted.tags,
    bootSeconds: wanted.bootTimeout,
    agentSeconds: wanted.agentTimeout,
    checksSeconds: wanted.checksTimeout,
    maxBootSeconds: wanted.maxBootTime,
    reboot: wanted.reboot,
    keepSeconds: wanted.keepOnFailure,
    endsAt: new Date(now + seconds * 1000),
  };
}

const planPage = (
  { checks, family: name }: Wanted,
  imageId: string,
  legs: readonly (readonly string[])[],
  broken: readonly string[],
): string =>
  [
    `### Would validate ${plain(name)} ${code(imageId)} on ${legs.map(types => code(types.join(' | '))).join(', ')}`,
    ...broken.map(why => `❌ It would fail before a machine is launched: ${plain(why)}`),
    table(
      ['Check', 'If it fails'],
      checks.map(check => [plain(check.name), check.severity === 'warn' ? 'a warning' : 'not passed']),
    ),
  ].join('\n\n');
