import { CancelledError, withDetails } from '../kit/errors.ts';
import { duration, list, oneOf, optional, text, yaml } from '../kit/fields.ts';
import { code, text as plain, table } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, family } from '../model/common-settings.ts';
import type { Deps } from '../ports/deps.ts';
import { users } from '../retention/find-users.ts';
import { schemeOf, selectImage, selection } from '../selection/select-image.ts';
import { readDeliveries, readUserData } from './deliveries.ts';
import { FAILED_IMAGE_ACTIONS, handleFailedImage } from './on-failure.ts';
import { checkGates, chooseTypes, GATE, GATES, waitAvailable, warnOfProfile } from './preflight.ts';
import { reportValidation, validationError, validationOutputs } from './report.ts';
import { checksHash, checksSchema } from './rules/checks.ts';
import { conclude, endedInstances, type Validation } from './rules/conclude.ts';
import { instance, instanceTuning, testRunOptions } from './settings.ts';
import { earlierVerdict, passedAlready, storeVerdict } from './store-verdict.ts';
import { testOnAll } from './test-run.ts';

// Needs an image and declared checks.
// Leaves behind a verdict on the image, a report, and no instance.

export const settings = {
  family,
  checks: yaml(
    'What the image must do on a machine made of it: a YAML list of ready-made checks by name, `command` or `script`. Shell, on Linux; Windows images are refused.',
    checksSchema,
  ),
  testInstanceTypes: instance.testInstanceTypes,
  instanceProfile: instance.instanceProfile,
  ...selection(undefined),
  ...common,
  dryRun: dryRun(false),
  require: list('What the image itself must be, without a machine: `private`, `encrypted`, `imds-v2`, `ena`.', {
    fallback: 'private',
    pattern: GATE,
    message: `must be one of ${GATES.join(', ')}`,
    neededBy: 'teams with rules for all images',
  }),
  baseMaxAge: optional(
    duration('How old the base image may be that it was built from (tag `ami-action:base-ami`).', {
      neededBy: 'teams with rules for all images',
    }),
  ),
  onFailure: oneOf('What becomes of an image that failed; one that is in use stays.', FAILED_IMAGE_ACTIONS, {
    fallback: 'keep',
    neededBy: 'teams that keep no failed images',
  }),
  revalidate: oneOf('`changed`: an image that has passed exactly this already is not tried again.', ['always', 'changed'], {
    fallback: 'always',
    neededBy: 'teams whose pushes often change nothing in the image',
  }),
  ignoreParameters: users.ignoreParameters,
  junit: optional(text('File for the results as JUnit XML, in the workspace.', { neededBy: 'workflows with a test reporter' })),
  json: optional(text('File for the results as JSON, with what the checks printed.', { neededBy: 'scripts that read the results' })),
  ...instanceTuning,
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

type ValidateDeps = Deps<
  'account' | 'images' | 'instances' | 'commands' | 'parameters' | 'imageUsers' | 'removal',
  'journal' | 'files' | 'commits'
>;
/** `pointers`: those that the file says of other environments. */
type Wanted = Values<typeof settings> & { readonly pointers: readonly string[] };

export async function run(wanted: Wanted, deps: ValidateDeps) {
  const { report, clock, files } = deps;
  const aws = deps.inRegion({ region: wanted.region });
  const scheme = schemeOf(wanted);

  const deliveries = await readDeliveries(wanted.checks, files);
  const userData = await readUserData(wanted.userData, files);
  const checks = checksHash(wanted.checks, deliveries, hashedOptions(wanted, userData));
  const selected = await report.step(`Resolve ${wanted.image}`, () => selectImage(wanted, deps));
  const image = await report.step(`Look at ${selected.image.id}`, () => waitAvailable(selected.image, wanted.bootTimeout, aws, deps));
  const broken = await report.step('Check what needs no machine', () => checkGates(image, wanted, scheme, aws, clock.now()));
  const passed = wanted.revalidate === 'changed' && broken.length === 0 ? passedAlready(image, checks, scheme) : undefined;
  if (passed !== undefined) {
    report.info(`${image.id}: ${passed}. "revalidate: always" tries it again.`);
    report.summary(`### ✅ ${plain(wanted.family)} ${code(image.id)} needs no validation\n\nIt has passed exactly this: ${plain(passed)}.`);
    return { outcome: 'unchanged' as const, outputs: { verdict: 'passed', amiId: image.id, checks } };
  }
  const legs = await report.step('Choose machines', () => chooseTypes(wanted.testInstanceTypes, image, aws));
  await warnOfProfile(wanted.instanceProfile, wanted.region, aws, deps);
  report.info(`${wanted.checks.length} checks (${checks}) of ${image.id} on ${legs.map(types => types.join(' or ')).join(', ')}.`);
  if (wanted.dryRun) {
    report.summary(planPage(wanted, image.id, legs, broken));
    return { outcome: 'planned' as const, outputs: { amiId: image.id, checks } };
  }

  const order = { ...testRunOptions(wanted, clock.now()), image, scheme, deliveries, userData };
  const testRuns = broken.length > 0 ? [] : await testOnAll(legs, order, wanted.region, deps);
  const found = broken.length > 0 ? { result: 'failed' as const, reason: broken.join('; ') } : conclude(testRuns);
  const validation: Validation = { imageId: image.id, family: wanted.family, checks, testRuns, ...found };
  await reportValidation(validation, { junit: wanted.junit, json: wanted.json }, deps);
  const { result } = validation;
  const notStored = await report.step('Store the verdict', async () => {
    if (result === 'inconclusive') return undefined;
    return storeVerdict(image, { result, checks, at: new Date(clock.now()) }, { scheme, family: wanted.family }, aws, deps);
  });
  const dispose = () => handleFailedImage(image, endedInstances(testRuns), wanted, scheme, aws, deps);
  const fateReport =
    result === 'failed' && !(notStored instanceof CancelledError) ? await dispose().catch(unfinished(validation)) : undefined;
  const refused = validationError(validation, earlierVerdict(image, scheme), fateReport, notStored);
  if (refused !== undefined) throw refused;
  return { outcome: 'done' as const, outputs: validationOutputs(validation) };
}

const unfinished =
  (validation: Validation) =>
  (failure: unknown): never => {
    throw withDetails(failure, {
      leftovers: [`image ${validation.imageId}, which failed validation`],
      outputs: validationOutputs(validation),
    });
  };

/** Part of what the verdict is about, beside the checks; what is not asked for does not change the hash. */
const hashedOptions = ({ reboot, maxBootTime, require, baseMaxAge, testInstanceTypes: types }: Wanted, userData: string | undefined) => ({
  reboot: reboot || undefined,
  maxBootTime,
  require: [...require].sort(),
  baseMaxAge,
  testInstanceTypes: types.length === 0 ? undefined : types,
  userData,
});

const planPage = (
  { checks, family: name }: Wanted,
  imageId: string,
  legs: readonly (readonly string[])[],
  broken: readonly string[],
): string =>
  [
    `### Would validate ${plain(name)} ${code(imageId)} on ${legs.map(types => code(types.join(' | '))).join(', ')}`,
    ...broken.map(reason => `❌ It would fail before a machine is launched: ${plain(reason)}`),
    table(
      ['Check', 'If it fails'],
      checks.map(check => [plain(check.name), check.severity === 'warn' ? 'a warning' : 'not passed']),
    ),
  ].join('\n\n');
