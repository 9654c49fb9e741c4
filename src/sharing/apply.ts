import { concurrently } from '../kit/concurrently.ts';
import type { ActionError } from '../kit/errors.ts';
import type { Image } from '../model/image.ts';
import { isAccountId } from '../model/patterns.ts';
import { type Attempt, attempt } from './attempt.ts';
import { ensureCopy, startCopy, waitVisible, writeIdentity } from './copy.ts';
import type { PlannedLine, ShareDeps, SharePlan } from './facts.ts';

/** Carries out the plan: all targets in parallel; a failure of one does not stop the others. */

export interface ShareResult {
  readonly line: PlannedLine;
  /** The image there. */
  readonly imageId: string | undefined;
  readonly failure: ActionError | undefined;
}

/** Accounts that AWS refused, with its reason. */
type Refused = ReadonlyMap<string, ActionError>;

interface ApplyContext {
  readonly plan: SharePlan;
  readonly timeoutSeconds: number;
  readonly deps: ShareDeps;
  /** Region -> our own image there. What is shared from a region waits for it. */
  readonly ours: ReadonlyMap<string, Promise<Attempt<Image>>>;
  readonly launching: ReadonlyMap<string, Promise<Refused>>;
  readonly reading: Promise<Refused>;
}

/** AWS makes about twenty copies of snapshots at a time into a region. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-copy-snapshot.html */
const AT_ONCE = 20;

export async function applyShare(plan: SharePlan, timeoutSeconds: number, deps: ShareDeps): Promise<readonly ShareResult[]> {
  const { regions } = plan.sharing.options;
  const ours = new Map(regions.map(region => [region, attempt(() => findOwnImage(region, plan, timeoutSeconds, deps))]));
  const launching = new Map(
    [...ours].map(([region, image]) => [region, image.then(({ value }) => allowLaunch(region, value, plan, deps))]),
  );
  const context: ApplyContext = { plan, timeoutSeconds, deps, ours, launching, reading: allowReading(plan, deps) };
  const withdraws = ({ actions }: PlannedLine) => actions.includes('withdraw');
  const work = (lines: readonly PlannedLine[]) =>
    concurrently(lines, AT_ONCE, async line => {
      const { value, failure } = await attempt(() => applyTarget(line, context));
      const there = value ?? line.there ?? (line.target.kind === 'launch' ? (await ours.get(line.target.region))?.value : undefined);
      return { line, imageId: there?.id, failure };
    });
  // Permissions are removed last.
  const given = await work(plan.lines.filter(line => !withdraws(line)));
  return [...given, ...(await work(plan.lines.filter(withdraws)))];
}

async function applyTarget(line: PlannedLine, context: ApplyContext): Promise<Image | undefined> {
  const { target, there, actions } = line;
  const { plan, deps, timeoutSeconds } = context;
  if (line.failure !== undefined) throw line.failure;
  if (actions.includes('withdraw')) return withdraw(line, plan, deps);
  if (target.kind === 'copy') {
    const [homeRegion = ''] = plan.sharing.options.regions;
    throwIfRefused(target.who, await context.reading, await context.launching.get(homeRegion));
    return ensureIdentifiedCopy(line, plan, timeoutSeconds, deps);
  }
  const { value: image, failure } = (await context.ours.get(target.region)) ?? {};
  if (failure !== undefined) throw failure;
  if (target.kind === 'region' || image === undefined) return image;
  throwIfRefused(target.who, await context.launching.get(target.region));
  if (target.role !== undefined) await writeIdentity(there ?? (await waitVisible(image.id, target, plan, deps)), target, plan, deps);
  return image;
}

async function findOwnImage(region: string, plan: SharePlan, timeoutSeconds: number, deps: ShareDeps): Promise<Image> {
  const line = plan.lines.find(({ target }) => target.kind === 'region' && target.region === region);
  if (line === undefined) return plan.home;
  if (line.failure !== undefined) throw line.failure;
  return ensureIdentifiedCopy(line, plan, timeoutSeconds, deps);
}

async function ensureIdentifiedCopy(line: PlannedLine, plan: SharePlan, timeoutSeconds: number, deps: ShareDeps): Promise<Image> {
  if (plan.sharing.prepare) return { ...plan.home, id: await startCopy(line, plan, deps.inRegion(line.target), deps), state: 'pending' };
  const copy = line.actions.length === 0 && line.there !== undefined ? line.there : await ensureCopy(line, plan, timeoutSeconds, deps);
  await writeIdentity(copy, line.target, plan, deps);
  return copy;
}

/** All accounts of a region in one call. A copy needs launch permission, too. */
function allowLaunch(region: string, image: Image | undefined, plan: SharePlan, deps: ShareDeps): Promise<Refused> {
  const [homeRegion] = plan.sharing.options.regions;
  const here = permitted(plan).filter(({ target }) => (target.kind === 'copy' ? homeRegion : target.region) === region);
  if (image === undefined) return Promise.resolve(new Map());
  const { sharing } = deps.inRegion({ region });
  return forAll(accountsOf(here), who => sharing.allowLaunch(image.id, who));
}

function allowReading(plan: SharePlan, deps: ShareDeps): Promise<Refused> {
  const [region = ''] = plan.sharing.options.regions;
  const { sharing } = deps.inRegion({ region });
  return forAll(accountsOf(permitted(plan).filter(({ target }) => target.kind === 'copy')), async who => {
    for (const id of plan.home.snapshotIds) await sharing.allowReading(id, who);
  });
}

const permitted = ({ lines }: SharePlan): readonly PlannedLine[] =>
  lines.filter(({ actions, failure }) => actions.includes('permit') && failure === undefined);

const accountsOf = (lines: readonly PlannedLine[]): readonly string[] => [...new Set(lines.map(({ target }) => target.who))];

/** All in one call; if AWS refuses that, one by one, so that a wrong account does not block the others. */
async function forAll(who: readonly string[], write: (who: readonly string[]) => Promise<void>): Promise<Refused> {
  if (who.length === 0) return new Map();
  const { failure } = await attempt(() => write(who));
  if (failure === undefined) return new Map();
  if (who.length === 1) return new Map(who.map(one => [one, failure]));
  const refused = new Map<string, ActionError>();
  for (const one of who) for (const [name, reason] of await forAll([one], write)) refused.set(name, reason);
  return refused;
}

function throwIfRefused(who: string, ...all: readonly (Refused | undefined)[]): void {
  for (const refused of all) {
    const failure = refused?.get(who);
    if (failure !== undefined) throw failure;
  }
}

async function withdraw({ target, there }: PlannedLine, { sharing, home }: SharePlan, deps: ShareDeps): Promise<Image | undefined> {
  if (there === undefined) return undefined;
  const aws = deps.inRegion({ region: target.region });
  await aws.sharing.forbidLaunch(there.id, [target.who]);
  if (there.id !== home.id || !isAccountId(target.who) || sharing.options.copy.includes(target.who)) return there;
  for (const id of home.snapshotIds) {
    if ((await aws.sharing.readers(id)).includes(target.who)) await aws.sharing.forbidReading(id, [target.who]);
  }
  return there;
}
