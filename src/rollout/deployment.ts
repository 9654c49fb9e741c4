import { CancelledError } from '../kit/errors.ts';
import { flag } from '../kit/fields.ts';
import { type Image, identity, type TagScheme } from '../model/image.ts';
import type { Deployments, Deps } from '../ports/deps.ts';
import { isInProgress } from './indeterminate.ts';

/** The deployment that GitHub shows for an environment. It is a record: what it cannot say never fails a promotion. */

export const deploymentSettings = {
  deployment: flag(
    'Record a GitHub deployment with the commit of the image; needs `github-token` and `permissions: deployments: write`.',
    true,
    {
      neededBy: 'repositories that record deployments themselves',
    },
  ),
};

export interface DeploymentOrder {
  readonly deployment: boolean;
  readonly githubToken: string | undefined;
  readonly environment: string;
  readonly region: string;
  readonly image: Image;
  readonly scheme: TagScheme;
  /** What is done, for people: "promote ami-1". */
  readonly says: string;
  readonly onCancel: 'leave' | 'rollback';
}

type NeededDeps = Pick<Deps<never, 'deployments'>, 'deployments' | 'report' | 'run'>;

export async function recordDeployment<T>(
  order: DeploymentOrder,
  deps: NeededDeps,
  work: () => Promise<T>,
  ended: (value: T) => 'success' | 'moving',
): Promise<T> {
  const { githubToken: token, environment, image, says } = order;
  const { deployments, run, report } = deps;
  if (!order.deployment || token === undefined || run.repository === '') return work();
  const base = { repository: run.repository, token, logUrl: run.url };
  const quietly = <R>(call: Promise<R>): Promise<R | undefined> =>
    call.catch((cause: unknown) => void report.warn(`No deployment on GitHub: ${cause instanceof Error ? cause.message : String(cause)}`));
  const id = await quietly(deployments.begin({ ...base, environment, commit: commitOf(order, run), imageId: image.id, description: says }));
  if (id === undefined) return work();
  const end = (how: Ending, description: string) =>
    quietly(deployments.end({ ...base, id, ended: how, description, environmentUrl: consoleUrl(order) }));
  try {
    const value = await work();
    // One that still moves stays in progress: the run that finishes it finds it.
    if (ended(value) === 'success') await end('success', says);
    return value;
  } catch (failure) {
    await end(...endingOf(failure, order));
    throw failure;
  }
}

type Ending = Parameters<Deployments['end']>[0]['ended'];

/** `failure` only where it has failed. What we stopped watching goes on: the next run with the same settings finds the deployment and ends it. */
function endingOf(failure: unknown, { says, onCancel }: DeploymentOrder): [Ending, string] {
  const reason = failure instanceof Error ? (failure.message.split('\n')[0] ?? says) : says;
  if (!isInProgress(failure)) return ['failure', reason];
  if (failure instanceof CancelledError && onCancel === 'rollback') return ['error', 'Cancelled: AWS brings the old image back'];
  return ['in_progress', `Nobody watches it now: run the job again with the same settings, and it goes on. ${reason}`];
}

/** An image of another repository has no commit here: then it is the commit of this run. */
const commitOf = ({ image, scheme }: DeploymentOrder, run: NeededDeps['run']): string =>
  (identity(image, scheme, 'repository') === run.repository ? identity(image, scheme, 'commit') : undefined) ?? run.commit;

const consoleUrl = ({ region, image }: DeploymentOrder): string =>
  `https://${region}.console.aws.amazon.com/ec2/home?region=${region}#ImageDetails:imageId=${image.id}`;
