import { concurrently } from '../kit/concurrently.ts';
import { AccessError, type ActionError, RejectedError } from '../kit/errors.ts';
import { copiesOf } from '../model/copies.ts';
import { type Image, tagKey } from '../model/image.ts';
import { evaluateAllowedImages, type ImageKey } from '../model/image-access.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import { unsignedReason } from '../selection/verdict-key.ts';
import { type Attempt, attempt } from './attempt.ts';
import { keyWarnings, lockedOut } from './rules/key.ts';
import { type Line, type Origin, planTarget, type Target, type TargetState, targetsOf } from './rules/plan.ts';
import { imageRefusals, type Sharing, sharingRefusals } from './rules/refusals.ts';
import { planUnshare } from './unshare.ts';

/** Everything that is read before anything is shared. A target that cannot be read is left out; the others go on. */

export type ShareClients = Pick<RegionClients, 'account' | 'images' | 'removal' | 'sharing' | 'macs'>;
export type ShareDeps = Deps<keyof ShareClients>;

const AT_ONCE = 10;

export interface PlannedLine extends Line {
  /** Why this target is left out. */
  readonly failure?: ActionError | undefined;
}

export interface SharePlan {
  readonly home: Image;
  readonly sharing: Sharing;
  readonly origins: ReadonlyMap<string, Origin>;
  readonly lines: readonly PlannedLine[];
  readonly warnings: readonly string[];
}

export async function planSharing(home: Image, inputs: Omit<Sharing, 'own'>, deps: ShareDeps): Promise<SharePlan> {
  const { scheme } = inputs;
  const [homeRegion = ''] = inputs.options.regions;
  const aws = deps.inRegion({ region: homeRegion });
  const own = await aws.account.id();
  const copy = inputs.options.copy.filter(who => who !== own);
  const options = { ...inputs.options, copy, ownCopies: copy.length < inputs.options.copy.length };
  const sharing = { ...inputs, own, options };
  const unsigned = inputs.prepare ? undefined : await unsignedReason(home, scheme, inputs.verdictKey, deps);
  throwIfRefusals(home, [...imageRefusals(home, sharing), ...(unsigned === undefined ? [] : [unsigned])]);
  const keys = await keysOf(home, aws);
  const targets = targetsOf(options, sharing.own);
  const nothing = new Map<string, Origin>();
  const looks = new Map(
    await readTargets(
      targets.filter(({ kind }) => kind === 'region'),
      home,
      nothing,
      sharing,
      deps,
    ),
  );
  const origins = await readOrigins(home, looks, sharing, deps);
  throwIfRefusals(home, sharingRefusals(home, keys, [...origins.values()], sharing));
  const others = await readTargets(
    targets.filter(({ kind }) => kind !== 'region'),
    home,
    origins,
    sharing,
    deps,
  );
  const lines = [...looks, ...others].map(([target, state]) => planLine(target, state, { home, keys, origins, sharing }));
  const all = inputs.prepare ? lines.flatMap(toPrepared) : [...lines, ...(await planUnshare(home, origins, sharing, deps))];
  return {
    home,
    sharing,
    origins,
    lines: all,
    warnings: [...new Set([...keyWarnings(targets, keys), ...all.flatMap(({ warning }) => warning ?? [])])],
  };
}

interface LineFacts extends Pick<SharePlan, 'home' | 'origins' | 'sharing'> {
  readonly keys: readonly ImageKey[];
}

function planLine(target: Target, { value, failure }: Attempt<TargetState>, { home, keys, origins, sharing }: LineFacts): PlannedLine {
  if (value === undefined) return { target, actions: [], reason: failure?.message ?? '', there: undefined, dead: [], failure };
  const [homeRegion = ''] = sharing.options.regions;
  const originIn = (region: string) => origins.get(region) ?? nothingIn(region);
  const line = planTarget(value, { home: originIn(homeRegion), here: originIn(target.region) }, home, sharing);
  const locked = line.refusal ?? lockedOut(target, keys);
  return locked === undefined ? line : { ...line, actions: [], reason: locked, failure: new RejectedError(locked) };
}

/** Before the verdict only the copies: what else is shared waits for it. */
function toPrepared(line: PlannedLine): readonly PlannedLine[] {
  if (line.target.kind === 'launch') return [];
  const actions = line.actions.includes('copy') ? line.actions.filter(action => action !== 'tag') : [];
  return [{ ...line, actions, reason: actions.length === 0 && line.failure === undefined ? 'the copy exists' : line.reason }];
}

const readTargets = (
  targets: readonly Target[],
  home: Image,
  origins: ReadonlyMap<string, Origin>,
  sharing: Sharing,
  deps: ShareDeps,
): Promise<(readonly [Target, Attempt<TargetState>])[]> =>
  concurrently(
    targets,
    AT_ONCE,
    async target => [target, await attempt(() => readTarget(target, home, origins.get(target.region)?.image, sharing, deps))] as const,
  );

const nothingIn = (region: string): Origin => ({ region, image: undefined, launchers: [], readers: [] });

function throwIfRefusals(home: Image, refusals: readonly string[]): void {
  if (refusals.length === 0) return;
  const reasons = refusals.length === 1 ? `${refusals[0]}.` : `${refusals.length} reasons:\n- ${refusals.join('\n- ')}`;
  throw new RejectedError(`${home.id} cannot be shared: ${reasons}`, { unchanged: true });
}

const keysOf = async ({ id, snapshotIds, encrypted }: Image, { sharing }: ShareClients): Promise<readonly ImageKey[]> => {
  if (snapshotIds.length === 0) return [];
  // `encrypted` means all volumes; one encrypted volume is enough to need its key.
  const arns = await sharing.keysOf(snapshotIds);
  if (arns.length === 0 && encrypted)
    throw new AccessError(`${id} is encrypted, and EC2 does not show with which key (ec2:DescribeSnapshots).`);
  return Promise.all(arns.map(arn => sharing.key(arn)));
};

/** `ours`: our own image in the target's region, if it exists yet. */
async function readTarget(target: Target, home: Image, ours: Image | undefined, sharing: Sharing, deps: ShareDeps): Promise<TargetState> {
  const aws = deps.inRegion(target);
  const { scheme } = sharing;
  if (target.role !== undefined) await checkAccount(target, aws);
  if (target.kind !== 'launch') {
    const [named, copied] = await Promise.all([
      aws.images.find({ names: [home.name] }),
      aws.images.find({ tags: { [tagKey(scheme, 'copied-from')]: home.id } }),
    ]);
    const { alive, dead } = copiesOf(home, [...copied, ...named], scheme);
    const warning = target.kind === 'copy' && alive === undefined ? await checkSource(target, home, sharing, deps) : undefined;
    return { target, there: alive, dead, warning };
  }
  if (target.role === undefined) return { target, there: undefined, dead: [] };
  const now = deps.clock.now();
  // A copy that is not made yet will be new.
  const image = ours ?? { ...home, createdAt: new Date(now), deprecatedAt: undefined };
  const warning = await checkAllowedImages(target, aws, image, now, 'launched');
  return { target, there: ours === undefined ? undefined : await aws.images.get(ours.id), dead: [], warning };
}

/** An account always allows its own copy, but it must see the source to copy it. */
function checkSource({ who, role }: Target, home: Image, { options }: Sharing, deps: ShareDeps): Promise<string | undefined> {
  const source = { who, role, region: options.regions[0] ?? '' };
  return checkAllowedImages(source, deps.inRegion(source), home, deps.clock.now(), 'copied');
}

async function checkAccount({ who, role }: Target, aws: ShareClients): Promise<void> {
  const account = await aws.account.id();
  if (account === who) return;
  throw new AccessError(`Role ${role} belongs to account ${account}, not ${who}.`, { next: 'Use {account} in "target-role".' });
}

/** A warning where its Allowed AMIs cannot be evaluated. Throws where they exclude the image. */
async function checkAllowedImages(
  { who, region }: Pick<Target, 'who' | 'region'>,
  { sharing }: ShareClients,
  image: Image,
  now: number,
  use: 'launched' | 'copied',
): Promise<string | undefined> {
  const admission = evaluateAllowedImages(await sharing.allowed(), image, now);
  if (admission.state === 'allowed') return undefined;
  if (admission.state === 'unknown') return `Allowed AMIs of account ${who} in ${region} were not checked: ${admission.reason}.`;
  throw new AccessError(`Account ${who} does not allow the image in ${region}: ${admission.reason}. It cannot be ${use} there.`, {
    next: `In account ${who}, add ${image.ownerId} to the image providers of Allowed AMIs (ec2:ReplaceImageCriteriaInAllowedImagesSettings).`,
  });
}

/** Our own image of each region, with the accounts that have access. */
async function readOrigins(
  home: Image,
  looks: ReadonlyMap<Target, Attempt<TargetState>>,
  { options }: Sharing,
  deps: ShareDeps,
): Promise<ReadonlyMap<string, Origin>> {
  const [homeRegion = ''] = options.regions;
  const own = [...looks].map(([{ region }, { value }]) => [region, value?.there] as const);
  const origins = await Promise.all(
    [[homeRegion, home] as const, ...own].map(async ([region, image]): Promise<[string, Origin]> => {
      if (image === undefined) return [region, nothingIn(region)];
      const { sharing } = deps.inRegion({ region });
      const launchers = await sharing.launchers(image.id);
      const needed = region === homeRegion && (options.copy.length > 0 || options.unshare);
      const readers = needed ? await Promise.all(image.snapshotIds.map(id => sharing.readers(id))) : [];
      const everywhere = (readers[0] ?? []).filter(who => readers.every(some => some.includes(who)));
      return [region, { region, image, launchers, readers: everywhere }];
    }),
  );
  return new Map(origins);
}
