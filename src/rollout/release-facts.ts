import type { CommitRange } from '../model/commits-served.ts';
import { comparable } from '../model/compare.ts';
import { pointerName } from '../model/pointer.ts';
import type { Deps } from '../ports/deps.ts';
import type { RegionPlan } from './rollout-spec.ts';
import { versionOf } from './rules/format-image.ts';
import type { Stage } from './rules/stages.ts';

/** What the summary of a rollout shows of GitHub and of the other environments. What cannot be read is left out: it never fails a rollout. */
export interface ReleaseFacts {
  readonly approvers: readonly string[];
  readonly commits: CommitRange | undefined;
  /** In the order of the file; empty where there is only one. */
  readonly stages: readonly Stage[];
}

export const NO_FACTS: ReleaseFacts = { approvers: [], commits: undefined, stages: [] };

interface Asked {
  readonly githubToken: string | undefined;
  readonly environment: string;
  readonly family: string;
  readonly pointer: string;
  /** Of the settings file, in its order. */
  readonly environments?: readonly string[];
}

type FactDeps = Pick<Deps<never, 'commits' | 'deployments'>, 'commits' | 'deployments' | 'run'>;

/** Of the home region, after the rollout. */
export async function readReleaseFacts(plan: RegionPlan | undefined, asked: Asked, deps: FactDeps): Promise<ReleaseFacts> {
  if (plan === undefined) return NO_FACTS;
  const quietly = <T>(read: Promise<T>, none: T): Promise<T> => read.catch(() => none);
  const [approvers, commits, stages] = await Promise.all([
    quietly(approversOf(asked, deps), []),
    quietly(commitsOf(plan, asked, deps), undefined),
    quietly(stagesOf(plan, asked), []),
  ]);
  return { approvers, commits, stages };
}

async function approversOf({ githubToken: token, environment }: Asked, { deployments, run }: FactDeps): Promise<readonly string[]> {
  if (token === undefined || run.repository === '' || run.id === '') return [];
  return deployments.approvers({ repository: run.repository, token, runId: run.id, environment });
}

/** Between the image before and this one; of a rollback those that are taken back. */
async function commitsOf({ image, replaced, scheme, operation }: RegionPlan, { githubToken: token }: Asked, { commits }: FactDeps) {
  const [from, to] = operation === 'promote' ? [replaced, image] : [image, replaced];
  const range = to === undefined ? undefined : comparable(from, to, scheme);
  return token === undefined || range === undefined ? undefined : commits.between({ ...range, token });
}

/** Environments whose pointer is in the account and region of this one. */
async function stagesOf({ image, replaced, scheme, aws }: RegionPlan, asked: Asked): Promise<readonly Stage[]> {
  const { environments = [], environment, pointer, family } = asked;
  if (environments.length < 2) return [];
  const stages = await Promise.all(
    environments.map(async (name): Promise<readonly Stage[]> => {
      if (name === environment) return [{ name, version: versionOf(image, scheme), since: undefined }];
      const [current] = await aws.parameters.history(pointerName(pointer, { family, environment: name, architecture: image.architecture }));
      if (current === undefined) return [];
      const known = [image, replaced].find(one => one?.id === current.value) ?? (await aws.images.get(current.value));
      return [{ name, version: known === undefined ? current.value : versionOf(known, scheme), since: current.writtenAt }];
    }),
  );
  return stages.flat();
}
