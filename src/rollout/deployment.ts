import { CancelledError } from '../kit/errors.ts';
import { flag } from '../kit/fields.ts';
import { type Image, identity, type TagScheme } from '../model/image.ts';
import type { Deps } from '../ports/deps.ts';
import type { Deployments } from '../ports/github.ts';
import { isInProgress } from './indeterminate.ts';

/** The deployment that GitHub shows for an environment. It is a record: a failure to write it never fails a rollout. */

export const deploymentSettings = {
  deployment: flag(
    'Record a GitHub deployment with the commit of the image; needs `github-token` and `permissions: deployments: write`.',
    true,
    {
      neededBy: 'repositories that record deployments themselves',
    },
  ),
};

export interface DeploymentInputs {
  readonly deployment: boolean;
  readonly githubToken: string | undefined;
  readonly environment: string;
  readonly region: string;
  readonly image: Image;
  readonly scheme: TagScheme;
  /** What is done, for people: "promote ami-1". */
  readonly description: string;
  readonly onCancel: 'leave' | 'rollback';
}

type DeploymentDeps = Pick<Deps<never, 'deployments'>, 'deployments' | 'report' | 'run'>;

/** Runs `work` and records how it ended. `isPending`: the rollout is still in progress, so the deployment is too. */
export async function recordDeployment<T>(
  inputs: DeploymentInputs,
  { deployments, run, report }: DeploymentDeps,
  work: () => Promise<T>,
  isPending: (value: T) => boolean,
): Promise<T> {
  const { githubToken: token, environment, image, description, region } = inputs;
  if (!inputs.deployment || token === undefined || run.repository === '') return work();
  const family = identity(image, inputs.scheme, 'family') ?? '';
  const base = { repository: run.repository, token, environment, family, logUrl: run.url };
  const quietly = <R>(call: Promise<R>): Promise<R | undefined> =>
    call.catch((cause: unknown) =>
      report.warn(`GitHub deployment not recorded: ${cause instanceof Error ? cause.message : String(cause)}`),
    ) as Promise<R | undefined>;
  const id = await quietly(deployments.begin({ ...base, commit: commitOf(inputs, run), imageId: image.id, actor: run.actor, description }));
  if (id === undefined) return work();
  const environmentUrl = `https://${region}.console.aws.amazon.com/ec2/home?region=${region}#ImageDetails:imageId=${image.id}`;
  const end = (ended: Ending, text: string) => quietly(deployments.end({ ...base, id, ended, description: text, environmentUrl }));
  try {
    const value = await work();
    if (!isPending(value)) await end('success', description);
    return value;
  } catch (failure) {
    await end(...endingOf(failure, inputs));
    throw failure;
  }
}

type Ending = Parameters<Deployments['end']>[0]['ended'];

/** `failure` only for a failed rollout. One that is still in progress is found and ended by the next run with the same settings. */
function endingOf(failure: unknown, { description, onCancel }: DeploymentInputs): [Ending, string] {
  const reason = failure instanceof Error ? (failure.message.split('\n')[0] ?? description) : description;
  if (!isInProgress(failure)) return ['failure', reason];
  if (failure instanceof CancelledError && onCancel === 'rollback') return ['error', 'Cancelled: AWS rolls back to the old image'];
  return ['in_progress', `In progress, not watched. Run the job again with the same settings to continue. ${reason}`];
}

/** An image of another repository has no commit here: then it is the commit of this run. */
const commitOf = ({ image, scheme }: DeploymentInputs, run: DeploymentDeps['run']): string =>
  (identity(image, scheme, 'repository') === run.repository ? identity(image, scheme, 'commit') : undefined) ?? run.commit;
