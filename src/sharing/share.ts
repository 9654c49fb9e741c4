import type { Values } from '../kit/settings.ts';
import { common, dryRun, family } from '../model/common-settings.ts';
import type { Deps } from '../ports/deps.ts';
import { schemeOf, selectImage, selection } from '../selection/select-image.ts';
import { type Delivered, deliver } from './apply.ts';
import { planSharing, type SharePlan, type SharePorts } from './facts.ts';
import { failureOf, tellPlan, tellResults } from './report.ts';
import { furtherTargets, sharingOf, targets } from './settings.ts';

// Needs an image that passed validation, and accounts, organizations or regions that are to have it.
// Leaves behind launch permission, copies, and tags and verdict that can be read in every target; what was so before is not touched.

export const settings = {
  family,
  ...selection('latest'),
  ...targets,
  dryRun: dryRun(false),
  ...common,
  ...furtherTargets,
};

export const outputs = {
  amiId: 'The image that was shared.',
  amiIds: 'JSON: region -> our own image there.',
  copies: 'JSON: region -> IDs of the copies that other accounts own there.',
  changed: 'false when everybody had it already.',
};

type NeededDeps = Deps<keyof SharePorts | 'parameters', 'commits'>;

export async function run(wanted: Values<typeof settings>, deps: NeededDeps) {
  const { report } = deps;
  const sharing = sharingOf(wanted, schemeOf(wanted));
  const { image } = await report.step(`Find ${wanted.image}`, () => selectImage(wanted, deps));
  const plan = await report.step('Look at every target', () => planSharing(image, sharing, deps));
  tellPlan(plan, report);
  const planned = plan.lines.map(line => ({ line, imageId: line.there?.id, failure: line.failure }));
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: outputsOf(plan, planned, false) };
  const changes = plan.lines.some(({ deeds }) => deeds.length > 0);
  const results = changes ? await report.step('Share', () => deliver(plan, wanted.timeout, deps)) : planned;
  if (changes) tellResults(results, report);
  const told = outputsOf(plan, results, changes);
  const failure = failureOf(results, told);
  if (failure !== undefined) throw failure;
  return { outcome: changes ? ('done' as const) : ('unchanged' as const), outputs: told };
}

/** No account among them: where account IDs are masked, the runner drops every output that holds one. */
function outputsOf({ home, sharing }: SharePlan, results: readonly Delivered[], changed: boolean) {
  const idsIn = (kind: 'region' | 'copy', region: string) =>
    results
      .filter(({ line, failure }) => line.target.kind === kind && line.target.region === region && failure === undefined)
      .flatMap(({ imageId = [] }) => imageId);
  const [homeRegion = '', ...further] = sharing.wish.regions;
  const ours = further.flatMap(region => idsIn('region', region).map(id => [region, id]));
  const copies = sharing.wish.regions.map(region => [region, idsIn('copy', region)] as const).filter(([, ids]) => ids.length > 0);
  return { amiId: home.id, amiIds: Object.fromEntries([[homeRegion, home.id], ...ours]), copies: Object.fromEntries(copies), changed };
}
