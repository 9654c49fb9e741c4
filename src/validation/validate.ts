import { CancelledError, withDetails } from '../kit/errors.ts';
import { oneOf, optional, text, yaml } from '../kit/fields.ts';
import { formatCount } from '../kit/format.ts';
import { code, text as plain, table } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, family, regions } from '../model/common-settings.ts';
import { type Image, identity } from '../model/image.ts';
import { mayPass, verdictOf } from '../model/verdict.ts';
import type { Deps } from '../ports/deps.ts';
import { users } from '../retention/find-users.ts';
import { manifestSetting, writeManifest } from '../selection/attestation.ts';
import { selectImage } from '../selection/select-image.ts';
import { schemeOf, selection } from '../selection/settings.ts';
import { unsignedReason, verdictKey } from '../selection/verdict-key.ts';
import { readDeliveries, readUserData } from './check-files.ts';
import { handleFailedImage } from './failed-image.ts';
import { checkGates, chooseTypes, waitAvailable, warnOfProfile } from './preflight.ts';
import { reportValidation, validationError, validationOutputs } from './report.ts';
import { checksHash, checksSchema } from './rules/checks.ts';
import { conclude, endedInstances, type Validation } from './rules/conclude.ts';
import { FAILED_IMAGE_ACTIONS, gateSettings, instanceSettings, instanceTuning, testRunOptions } from './settings.ts';
import { storeOnCopies, storeVerdict } from './store-verdict.ts';
import { testOnAll } from './test-run.ts';

// Needs an image and declared checks.
// Produces a verdict on the image and a report. No instance remains.

export const settings = {
  family,
  checks: yaml(
    'Checks to run on a test instance of the image: a YAML list of ready-made checks by name, `command` or `script`. Shell, Linux only.',
    checksSchema,
  ),
  ...instanceSettings,
  ...selection(undefined),
  ...common,
  dryRun: dryRun(false),
  ...gateSettings,
  regions,
  ...verdictKey,
  onFailure: oneOf('What to do with an image that failed. An image that is in use is kept.', FAILED_IMAGE_ACTIONS, {
    fallback: 'keep',
    neededBy: 'teams that keep no failed images',
  }),
  revalidate: oneOf('`changed`: skip an image that has passed the same checks already.', ['always', 'changed'], {
    fallback: 'always',
    neededBy: 'teams whose pushes often change nothing in the image',
  }),
  ignoreParameters: users.ignoreParameters,
  junit: optional(text('File in the workspace for the results as JUnit XML.', { neededBy: 'workflows with a test reporter' })),
  json: optional(
    text('File in the workspace for the results as JSON, with the output of the checks.', { neededBy: 'scripts that read the results' }),
  ),
  ...manifestSetting,
  ...instanceTuning,
};

export const outputs = {
  verdict: '`passed`, `failed` or `inconclusive`. Only `passed` may be promoted.',
  amiId: 'The image.',
  passed: 'How many checks passed, over all test instances.',
  failed: 'How many checks failed.',
  checks: 'Hash of the checks, for `require-checks` of promote.',
  instanceId: 'The test instance, if one was launched.',
  report: 'JSON: every test instance with its timeline and its checks.',
};

type ValidateDeps = Deps<
  'account' | 'images' | 'instances' | 'commands' | 'parameters' | 'imageUsers' | 'removal' | 'macs',
  'journal' | 'files' | 'commits'
>;
/** `pointers`: those of other environments in the file. */
type Inputs = Values<typeof settings> & { readonly pointers: readonly string[] };

export async function run(inputs: Inputs, deps: ValidateDeps) {
  const { report, clock, files } = deps;
  const aws = deps.inRegion({ region: inputs.region });
  const scheme = schemeOf(inputs);

  const deliveries = await readDeliveries(inputs.checks, files);
  const userData = await readUserData(inputs.userData, files);
  const checks = checksHash(inputs.checks, deliveries, hashedOptions(inputs, userData));
  const selected = await report.step(`Resolve ${inputs.image}`, () => selectImage(inputs, deps));
  const image = await report.step(`Wait for ${selected.image.id}`, () => waitAvailable(selected.image, inputs.bootTimeout, aws, deps));
  const broken = await report.step('Check "require" and "base-max-age"', () => checkGates(image, inputs, scheme, aws, clock.now()));
  const passed = mayPass(image, scheme, checks);
  const unsigned = inputs.revalidate === 'changed' ? await unsignedReason(image, scheme, inputs.verdictKey, deps) : undefined;
  if (inputs.revalidate === 'changed' && broken.length === 0 && passed.ok && unsigned === undefined) {
    await writeManifest(inputs.manifest, [{ region: inputs.region, imageId: image.id }], scheme, deps);
    return reportUnchanged(image, passed.reason, checks, inputs, deps);
  }
  const legs = await report.step('Choose instance types', () => chooseTypes(inputs.testInstanceTypes, image, aws));
  await warnOfProfile(inputs.instanceProfile, inputs.region, aws, deps);
  const types = legs.map(alternatives => alternatives.join(' or ')).join(', ');
  report.info(`Running ${formatCount(inputs.checks.length, 'check')} (${checks}) of ${image.id} on ${types}.`);
  if (inputs.dryRun) {
    report.summary(planPage(inputs, image.id, legs, broken));
    return { outcome: 'planned' as const, outputs: { amiId: image.id, checks } };
  }

  const options = { ...testRunOptions(inputs, clock.now()), image, scheme, deliveries, userData };
  const testRuns = broken.length > 0 ? [] : await testOnAll(legs, options, inputs.region, deps);
  const found = broken.length > 0 ? { result: 'failed' as const, reason: broken.join('; ') } : conclude(testRuns);
  const about = { imageId: image.id, family: inputs.family, version: identity(image, scheme, 'version') };
  const validation: Validation = { ...about, checks, testRuns, ...found };
  await reportValidation(validation, { junit: inputs.junit, json: inputs.json }, deps);
  const { result } = validation;
  const notStored = await report.step('Store the verdict', async () => {
    if (result === 'inconclusive') return undefined;
    const verdict = { result, checks, at: new Date(clock.now()) };
    const stored = { ...inputs, scheme };
    return (await storeVerdict(image, verdict, stored, aws, deps)) ?? (await storeOnCopies(image, verdict, stored, deps));
  });
  const handle = () => handleFailedImage(image, endedInstances(testRuns), inputs, scheme, aws, deps);
  const imageReport =
    result === 'failed' && !(notStored instanceof CancelledError) ? await handle().catch(unfinished(validation)) : undefined;
  const error = validationError(validation, verdictOf(image, scheme), imageReport, notStored);
  if (error !== undefined) throw error;
  await writeManifest(inputs.manifest, [{ region: inputs.region, imageId: image.id }], scheme, deps);
  return { outcome: 'done' as const, outputs: validationOutputs(validation) };
}

async function reportUnchanged(image: Image, reason: string, checks: string, inputs: Inputs, deps: ValidateDeps) {
  const { report } = deps;
  const scheme = schemeOf(inputs);
  const { verdict } = verdictOf(image, scheme);
  const failure = verdict && !inputs.dryRun ? await storeOnCopies(image, verdict, { ...inputs, scheme }, deps) : undefined;
  if (failure !== undefined) throw failure;
  report.info(`${image.id} ${reason}. To validate it again, set "revalidate: always".`);
  report.summary(`### ✅ ${plain(inputs.family)} ${code(image.id)} unchanged\n\nIt ${plain(reason)} over the same checks.`);
  return { outcome: 'unchanged' as const, outputs: { verdict: 'passed', amiId: image.id, checks } };
}

const unfinished =
  (validation: Validation) =>
  (failure: unknown): never => {
    throw withDetails(failure, {
      leftovers: [`image ${validation.imageId}, which failed validation`],
      outputs: validationOutputs(validation),
    });
  };

/** Options that are part of the hash, in addition to the checks. An option that is not set does not change the hash. */
const hashedOptions = ({ reboot, maxBootTime, require, baseMaxAge, testInstanceTypes: types }: Inputs, userData: string | undefined) => ({
  reboot: reboot || undefined,
  maxBootTime,
  require: [...require].sort(),
  baseMaxAge,
  testInstanceTypes: types.length === 0 ? undefined : types,
  userData,
});

const planPage = (
  { checks, family: name }: Inputs,
  imageId: string,
  legs: readonly (readonly string[])[],
  broken: readonly string[],
): string =>
  [
    `### 🔍 Dry run: would validate ${plain(name)} ${code(imageId)} on ${legs.map(types => code(types.join(' | '))).join(', ')}`,
    ...broken.map(reason => `❌ It would fail before an instance is launched: ${plain(reason)}`),
    table(
      ['Check', 'If it fails'],
      checks.map(check => [plain(check.name), check.severity === 'warn' ? 'a warning' : 'validation fails']),
    ),
  ].join('\n\n');
