import { AccessError, RejectedError } from '../kit/errors.ts';
import type { Deployments } from '../ports/github.ts';
import { type Octokit, octokitWith } from './github.ts';

/** Distinguishes our deployments from others of the same environment. */
const TASK = 'deploy:ami';

/** https://docs.github.com/en/rest/deployments/deployments */
export const githubDeployments = (baseUrl: string | undefined): Deployments => ({
  // https://docs.github.com/en/rest/actions/workflow-runs#get-the-review-history-for-a-workflow-run
  async approvers({ repository, token, runId, environment }) {
    const octokit = await octokitWith(token, baseUrl);
    const found = await octokit.rest.actions.getReviewsForRun({ ...split(repository), run_id: Number(runId) }).catch(() => undefined);
    const approved = (found?.data ?? []).filter(
      ({ state, environments }) => state === 'approved' && environments.some(({ name = '' }) => name.startsWith(environment)),
    );
    return [...new Set(approved.flatMap(({ user }) => user?.login ?? []))];
  },

  async begin({ repository, token, environment, commit, imageId, description, logUrl }) {
    const where = { ...split(repository), octokit: await octokitWith(token, baseUrl) };
    const known = await findUnended(where, environment, imageId);
    const id = known ?? (await create(where, { environment, commit, imageId, description }));
    await state(where, id, 'in_progress', { logUrl, description });
    return id;
  },

  async end({ repository, token, id, ended, description, logUrl, environmentUrl }) {
    await state({ ...split(repository), octokit: await octokitWith(token, baseUrl) }, id, ended, { logUrl, description, environmentUrl });
  },
});

interface Repository {
  readonly owner: string;
  readonly repo: string;
  readonly octokit: Octokit;
}

const split = (repository: string) => {
  const [owner = '', repo = ''] = repository.split('/');
  return { owner, repo };
};

/** The deployment of an earlier run of the same image that was never ended. */
async function findUnended({ owner, repo, octokit }: Repository, environment: string, imageId: string): Promise<number | undefined> {
  const { data } = await octokit.rest.repos.listDeployments({ owner, repo, environment, task: TASK, per_page: 1 }).catch(refused);
  const [newest] = data;
  if (newest === undefined || imageIn(newest.payload) !== imageId) return undefined;
  const { data: statuses } = await octokit.rest.repos
    .listDeploymentStatuses({ owner, repo, deployment_id: newest.id, per_page: 1 })
    .catch(refused);
  return statuses[0] === undefined || statuses[0].state === 'in_progress' ? newest.id : undefined;
}

/** GitHub answers with what was sent: an object, or the text of one. */
function imageIn(payload: unknown): unknown {
  if (typeof payload !== 'string') return (payload as { image?: unknown } | null)?.image;
  try {
    return (JSON.parse(payload) as { image?: unknown } | null)?.image;
  } catch {
    return undefined;
  }
}

async function create(
  { owner, repo, octokit }: Repository,
  { environment, commit, imageId, description }: { environment: string; commit: string; imageId: string; description: string },
): Promise<number> {
  const { data } = await octokit.rest.repos
    .createDeployment({
      ...{ owner, repo, ref: commit, task: TASK, environment, description: description.slice(0, 140), payload: { image: imageId } },
      // The image is built and has passed, so the current checks of the branch do not matter.
      ...{ auto_merge: false, required_contexts: [] },
      production_environment: /^prod/i.test(environment),
    })
    .catch(refused);
  if ('id' in data) return data.id;
  throw new RejectedError(`GitHub did not create a deployment: ${data.message ?? 'no reason given'}`);
}

async function state(
  { owner, repo, octokit }: Repository,
  id: number,
  to: Parameters<Deployments['end']>[0]['ended'],
  { logUrl, description, environmentUrl }: { logUrl: string; description: string; environmentUrl?: string },
): Promise<void> {
  await octokit.rest.repos
    .createDeploymentStatus({
      ...{ owner, repo, deployment_id: id, state: to, log_url: logUrl, description: description.slice(0, 140) },
      ...(environmentUrl === undefined ? {} : { environment_url: environmentUrl }),
    })
    .catch(refused);
}

const refused = (cause: unknown): never => {
  const { status, message } = cause as { status?: number; message?: string };
  if (status === undefined) throw cause;
  throw new AccessError(`GitHub refused the deployment: ${status} ${message}`, {
    cause,
    next: 'Add "deployments: write" to the permissions of the job.',
  });
};
