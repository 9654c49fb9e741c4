import { RejectedError } from '../kit/errors.ts';
import { flag, optional, text as textSetting } from '../kit/fields.ts';
import type { Values } from '../kit/settings.ts';
import { common, dryRun, family, regions, targetRole } from '../model/common-settings.ts';
import type { Deps } from '../ports/deps.ts';
import { pointer, schemeOf } from '../selection/select-image.ts';
import { carryOut, type Done } from './apply.ts';
import { type Asked, failClosed, price, users as userSettings } from './find-users.ts';
import { consumers, isSeen } from './other-accounts.ts';
import { hashOf, isIdle, makePlan, type Plan, sweeperOf } from './plan.ts';
import { throwIfLeft } from './removal.ts';
import { show, showDone, tell } from './report.ts';
import { furtherRetention, policyOf, retention } from './settings.ts';
import { type SurveyPorts, surveyAll } from './survey.ts';

// Needs a family and what to keep of it.
// Leaves behind only images that something may still launch or that the policy keeps, and a plan with a reason for each.

export const settings = {
  family,
  ...retention,
  dryRun: dryRun(true),
  pointer,
  ...userSettings,
  regions,
  targetRole,
  ...furtherRetention,
  orphanSnapshots: flag('Remove snapshots of the family that no image has any more, a day old at least.', true, {
    neededBy: 'teams that keep snapshots of their own under our tags',
  }),
  leftovers: flag('Remove what dead builds and validations left, told by the expiry that it bears.', true, {
    neededBy: 'roles that may remove nothing but images',
  }),
  templateVersions: flag('Also remove launch template versions that name a removed image; never a default, newest or used one.', false, {
    neededBy: 'teams whose launch templates fill up',
  }),
  usageReports: flag('Also ask AWS who uses an image in any account; takes minutes, and adds reasons to keep only.', false, {
    neededBy: 'teams that share images with accounts that the role cannot enter',
  }),
  planHash: optional(
    textSetting('Carries out only the plan that has this hash: the output of the dry run that somebody approved.', {
      pattern: /^[0-9a-f]{32}$/,
      message: 'must be the output "plan-hash" of a dry run',
      withOnly: true,
      neededBy: 'teams where a person approves the plan',
    }),
  ),
  pricePerGib: price,
  ...common,
};

export const outputs = {
  removed: 'How many images were removed; in a dry run, would be.',
  kept: 'How many images stay.',
  orphanSnapshots: 'How many snapshots that no image had were removed; in a dry run, would be.',
  templateVersions: 'How many launch template versions that name a removed image were removed; in a dry run, would be.',
  leftovers: 'How many things that dead builds and validations left were removed; in a dry run, would be.',
  recycleBin:
    'JSON list: `id` and `until` of every removed image and snapshot that the Recycle Bin still holds, and that is paid for until then.',
  plan: 'JSON list: `id`, `region`, `action` (`keep`, `mark`, `unmark` or `remove`) and `because` of every image of the family, newest first. Without what is kept where all of it is more than a job can hand on.',
  besides:
    'JSON list: `what` (`snapshot snap-...`, a launch template version, a leftover), `region` and `because` of everything beside images that the plan removes.',
  planHash: 'Hash of what the plan would change, for `plan-hash` of the run that carries it out.',
  freedGib: 'GiB of snapshots that this frees, at most: snapshots share blocks. What the Recycle Bin holds is not free yet.',
  freedPerMonth: 'What that saves a month, in dollars, at most.',
};

type Wanted = Values<typeof settings> & Pick<Asked, 'pointers'>;
type NeededDeps = Deps<'account' | keyof SurveyPorts>;

export async function run(wanted: Wanted, deps: NeededDeps) {
  const { report } = deps;
  const scheme = schemeOf(wanted);
  const accountId = await deps.inRegion({ region: wanted.region }).account.id();
  const policy = policyOf(wanted, scheme, accountId);

  // If one who may launch an image cannot be seen, this rejects and nothing is removed.
  const abroad = consumers(wanted, deps);
  const plan = await failClosed(report, async () => {
    const surveys = await surveyAll(wanted, sweeperOf(policy, deps), deps);
    return report.step('Plan', () => makePlan(surveys, policy, wanted, abroad, deps));
  });
  show(plan, wanted, scheme, deps, deps.clock.now());
  stopIfImplausible(plan, wanted);
  if (wanted.dryRun) return { outcome: 'planned' as const, outputs: tell(plan, wanted) };

  const done: Done[] = [];
  for (const part of plan.regions) {
    done.push(await report.step(`Remove in ${part.survey.region}`, () => carryOut(plan.images, part, policy, abroad, deps)));
  }
  showDone(plan, wanted, done, deps);
  const told = tell(plan, wanted, done);
  throwIfLeft(
    done.flatMap(({ ended }) => ended),
    told,
    done.flatMap(({ left }) => left),
  );
  return { outcome: isIdle(plan) ? ('unchanged' as const) : ('done' as const), outputs: told };
}

/** Whoever sees nothing in use probably looks with the wrong eyes: another account, a pointer that is spelt differently. */
function stopIfImplausible(plan: Plan, wanted: Wanted): void {
  const { images } = plan;
  if (wanted.planHash !== undefined && wanted.planHash !== hashOf(plan)) {
    throw new RejectedError('The plan is no longer the one that was approved. Nothing was removed.', {
      next: 'Look at the plan above, and approve it anew.',
      outputs: tell(plan, wanted, []),
    });
  }
  const inUse = images.filter(({ users }) => users.some(isSeen)).length;
  if (wanted.retireFamily || images.length === 0 || inUse >= wanted.minInUse) return;
  const message = `Only ${inUse} of ${images.length} images of ${wanted.family} are in use, and "min-in-use" expects ${wanted.minInUse}. Nothing was removed.`;
  throw new RejectedError(message, {
    next: `Check account, region and "pointer" (${wanted.pointer}); if it is true, say "min-in-use: ${inUse}".`,
    outputs: tell(plan, wanted, []),
  });
}
