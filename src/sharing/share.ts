import type { Values } from '../kit/settings.ts';
import { common, dryRun, family } from '../model/common-settings.ts';
import { isAmiId } from '../model/patterns.ts';
import { verdictOf } from '../model/verdict.ts';
import type { Deps } from '../ports/deps.ts';
import { manifestSetting, writeManifest } from '../selection/attestation.ts';
import { selectImage } from '../selection/select-image.ts';
import { schemeOf, selection } from '../selection/settings.ts';
import { verdictKey } from '../selection/verdict-key.ts';
import { applyShare, type ShareResult } from './apply.ts';
import { discardCopies, formatDiscarded } from './discard.ts';
import { planSharing, type ShareClients, type SharePlan } from './facts.ts';
import { failureOf, reportPlan, reportResults } from './report.ts';
import { furtherTargets, sharingOf, targets } from './settings.ts';

// Needs an image that passed validation, and accounts, organizations or regions.
// Produces launch permission, copies, and tags and verdict that are readable in every target.

export const settings = {
  family,
  ...selection('latest'),
  ...targets,
  dryRun: dryRun(false),
  ...common,
  ...furtherTargets,
  ...verdictKey,
  ...manifestSetting,
};

export const outputs = {
  amiId: 'The image that was shared.',
  amiIds: 'JSON: region -> image of this account there.',
  copies: 'JSON: region -> IDs of the copies that other accounts own there.',
  changed: '`false` when all targets were up to date.',
};

type ShareModeDeps = Deps<keyof ShareClients | 'parameters', 'commits' | 'files'>;

export async function run(inputs: Values<typeof settings>, deps: ShareModeDeps) {
  const { report } = deps;
  const sharing = sharingOf(inputs, schemeOf(inputs));
  const failed = inputs.prepare ? await failedSource(inputs, deps) : undefined;
  if (failed !== undefined) return discard(failed, inputs, deps);
  const { image } = await report.step(`Find ${inputs.image}`, () => selectImage(inputs, deps));
  const plan = await report.step('Read all targets', () => planSharing(image, sharing, deps));
  reportPlan(plan, report);
  const planned = plan.lines.map(line => ({ line, imageId: line.there?.id, failure: line.failure }));
  if (inputs.dryRun) return { outcome: 'planned' as const, outputs: outputsOf(plan, planned, false) };
  const changes = plan.lines.some(({ actions }) => actions.length > 0);
  const results = changes ? await report.step('Share', () => applyShare(plan, inputs.timeout, deps)) : planned;
  if (changes) reportResults(results, report);
  const outputs = outputsOf(plan, results, changes);
  const failure = failureOf(results, outputs);
  if (failure !== undefined) throw failure;
  if (!inputs.prepare) await writeManifest(inputs.manifest, placesOf(plan, results), sharing.scheme, deps);
  return { outcome: changes ? ('done' as const) : ('unchanged' as const), outputs: outputs };
}

/** The ID of an image whose copies are not wanted: it failed validation, or is gone. */
async function failedSource(inputs: Values<typeof settings>, deps: ShareModeDeps): Promise<string | undefined> {
  if (isAmiId(inputs.image) && (await deps.inRegion(inputs).images.get(inputs.image)) === undefined) return inputs.image;
  const { image } = await selectImage(inputs, deps);
  return verdictOf(image, schemeOf(inputs)).result === 'failed' ? image.id : undefined;
}

async function discard(sourceId: string, inputs: Values<typeof settings>, deps: ShareModeDeps) {
  const { report } = deps;
  if (inputs.dryRun) return { outcome: 'planned' as const, outputs: { amiId: sourceId, changed: false } };
  const sharing = sharingOf(inputs, schemeOf(inputs));
  const discarded = await report.step(`Remove the copies of ${sourceId}, which failed validation`, () =>
    discardCopies(sourceId, sharing, deps),
  );
  report.summary(formatDiscarded(sourceId, discarded));
  for (const { id, account, region } of discarded) report.info(`Removed ${id} in ${region} of account ${account}.`);
  const changed = discarded.length > 0;
  return { outcome: changed ? ('done' as const) : ('unchanged' as const), outputs: { amiId: sourceId, changed } };
}

/** The image and its copies, each with the role that reads it. */
const placesOf = ({ home, sharing }: SharePlan, results: readonly ShareResult[]) => [
  { region: sharing.options.regions[0] ?? '', imageId: home.id },
  ...results.flatMap(({ line: { target }, imageId }) =>
    target.kind === 'launch' || imageId === undefined ? [] : [{ region: target.region, role: target.role, imageId }],
  ),
];

/** Without account IDs: the runner drops every output that holds a masked value. */
function outputsOf({ home, sharing }: SharePlan, results: readonly ShareResult[], changed: boolean) {
  const idsIn = (kind: 'region' | 'copy', region: string) =>
    results
      .filter(({ line, failure }) => line.target.kind === kind && line.target.region === region && failure === undefined)
      .flatMap(({ imageId = [] }) => imageId);
  const [homeRegion = '', ...further] = sharing.options.regions;
  const ours = further.flatMap(region => idsIn('region', region).map(id => [region, id]));
  const copies = sharing.options.regions.map(region => [region, idsIn('copy', region)] as const).filter(([, ids]) => ids.length > 0);
  return { amiId: home.id, amiIds: Object.fromEntries([[homeRegion, home.id], ...ours]), copies: Object.fromEntries(copies), changed };
}
