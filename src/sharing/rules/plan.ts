import { missingTags } from '../../model/identity.ts';
import type { Image } from '../../model/image.ts';
import { isAccountId } from '../../model/patterns.ts';
import { type Signing, wantedTags } from './identity.ts';

/** What sharing would do, target by target, each with its reason. A target that is up to date gets no action. */

export interface ShareOptions {
  /** Accounts that may launch it, or `all`. */
  readonly accounts: readonly string[];
  /** ARNs of organizations and units. */
  readonly organizations: readonly string[];
  /** The image's own region first. */
  readonly regions: readonly string[];
  /** Accounts that get a copy of their own. */
  readonly copy: readonly string[];
  /** `copy` names the account of the image too: further regions get a copy of ours. */
  readonly ownCopies?: boolean;
  readonly unshare: boolean;
  /** The role that writes in an account; undefined: nothing is written there. */
  roleOf(account: string): string | undefined;
}

/** `region`: a copy of our own, in a further region. `launch`: may launch ours. `copy`: gets one of its own. */
export interface Target {
  readonly kind: 'region' | 'launch' | 'copy';
  /** An account, an ARN, or `all`. */
  readonly who: string;
  readonly region: string;
  readonly role: string | undefined;
}

export function targetsOf(options: ShareOptions, own: string): readonly Target[] {
  const roleFor = (who: string) => (isAccountId(who) ? options.roleOf(who) : undefined);
  const sharers = [...new Set([...options.accounts, ...options.organizations])].filter(who => who !== own);
  const [, ...further] = options.regions;
  // A copy for another account is made straight from the image: no copy of our own is needed there.
  const needed = sharers.length > 0 || options.copy.length === 0 || options.ownCopies ? further : [];
  return [
    ...needed.map(region => ({ kind: 'region' as const, who: own, region, role: undefined })),
    ...options.regions.flatMap(region => sharers.map(who => ({ kind: 'launch' as const, who, region, role: roleFor(who) }))),
    ...options.regions.flatMap(region => options.copy.map(who => ({ kind: 'copy' as const, who, region, role: roleFor(who) }))),
  ];
}

/** Our own image in one region: the image itself, or a copy of it if there is one. */
export interface Origin {
  readonly region: string;
  readonly image: Image | undefined;
  readonly launchers: readonly string[];
  /** Of all its snapshots; read in the image's own region only. */
  readonly readers: readonly string[];
}

/** What exists in a target: the image as that account sees it, or the copy. */
export interface TargetState {
  readonly target: Target;
  readonly there: Image | undefined;
  /** Failed copies that hold the name. */
  readonly dead: readonly Image[];
  /** What could not be checked there, or remains. */
  readonly warning?: string | undefined;
}

type Action = 'copy' | 'permit' | 'tag' | 'withdraw';

export interface Line extends TargetState {
  readonly actions: readonly Action[];
  readonly reason: string;
  /** Why nothing can be done there; the other targets go on. */
  readonly refusal?: string | undefined;
}

export function planTarget(
  state: TargetState,
  origins: { readonly home: Origin; readonly here: Origin },
  home: Image,
  signing: Signing,
): Line {
  const { target, there } = state;
  const tagged = there === undefined ? undefined : wantedTags(home, there, signing);
  if (tagged?.refusal !== undefined) return { ...state, actions: [], reason: tagged.refusal, refusal: tagged.refusal };
  const missing = there === undefined ? [] : missingTags(tagged?.tags ?? {}, there.tags);
  const tag = missing.length === 0 ? [] : [{ action: 'tag' as const, reason: formatMissing(missing, there) }];
  const steps =
    target.kind === 'launch' ? [...permission(target, origins.here), ...visible(state), ...tag] : [...copying(state, origins.home), ...tag];
  return {
    ...state,
    actions: [...new Set(steps.map(({ action }) => action))],
    reason: steps.length === 0 ? 'up to date' : steps.map(({ reason }) => reason).join(', '),
  };
}

type Step = { readonly action: Action; readonly reason: string };

const formatMissing = (missing: readonly string[], there: Image | undefined): string => {
  if (there?.state === 'pending') return 'the copy is pending';
  return missing.length > 3 ? `${missing.length} tags missing` : `${missing.join(', ')} missing`;
};

const permission = ({ who }: Target, { launchers }: Origin): readonly Step[] =>
  launchers.includes(who) ? [] : [{ action: 'permit', reason: 'not shared yet' }];

/** With a role there the image gets its tags there too; before it is shared it cannot be seen. */
const visible = ({ target, there }: TargetState): readonly Step[] =>
  target.role === undefined || there !== undefined ? [] : [{ action: 'tag', reason: 'no tags yet' }];

function copying({ target, there, dead }: TargetState, home: Origin): readonly Step[] {
  if (there !== undefined) return [];
  const failed = dead.length === 0 ? '' : `, failed copy ${dead.map(({ id }) => id).join(', ')} is removed`;
  const readable = target.kind === 'region' || (home.launchers.includes(target.who) && home.readers.includes(target.who));
  return [
    ...(readable ? [] : [{ action: 'permit' as const, reason: 'not readable yet' }]),
    { action: 'copy', reason: `no copy yet${failed}` },
    { action: 'tag', reason: 'no tags yet' },
  ];
}

/** Who may launch the image and is on no list. */
export function unlisted(options: ShareOptions, origin: Origin): readonly string[] {
  const isHome = origin.region === options.regions[0];
  const listed = new Set([...options.accounts, ...options.organizations, ...(isHome ? options.copy : [])]);
  return origin.launchers.filter(who => !listed.has(who));
}
