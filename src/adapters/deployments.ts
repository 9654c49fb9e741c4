import { AccessError, RejectedError } from '../kit/errors.ts';
import type { Deployments } from '../ports/github.ts';
import { type Octokit, octokitWith } from './github.ts';

/** Distinguishes our deployments from others of the same environment. */
const TASK = 'deploy:ami';

/** https://docs.github.com/en/rest/deployments/deployments */
export const githubDeployments = (baseUrl: string | undefined): Deployments => ({
  async list({ repository, token, environment }) {
    const octokit = await octokitWith(token, baseUrl);
    const query = { ...split(repository), environment, task: TASK, per_page: 100 };
    const { data } = await octokit.rest.repos.listDeployments(query).catch(cause => refused(cause, 'read'));
    return data.flatMap(({ payload, creator, created_at }) => {
      const { image, actor } = payloadOf(payload) ?? {};
      const by = typeof actor === 'string' ? actor : (creator?.login ?? '');
      return typeof image === 'string' ? [{ imageId: image, by, at: new Date(created_at) }] : [];
    });
  },

  // https://docs.github.com/en/rest/actions/workflow-runs#get-the-review-history-for-a-workflow-run
  async approvers({ repository, token, runId, environment }) {
    const octokit = await octokitWith(token, baseUrl);
    const found = await octokit.rest.actions.getReviewsForRun({ ...split(repository), run_id: Number(runId) }).catch(() => undefined);
    const approved = (found?.data ?? []).filter(
      ({ state, environments }) => state === 'approved' && environments.some(({ name = '' }) => name.startsWith(environment)),
    );
    return [...new Set(approved.flatMap(({ user }) => user?.login ?? []))];
  },

  async begin({ repository, token, environment, family, commit, imageId, actor, description, logUrl }) {
    const where = { ...split(repository), octokit: await octokitWith(token, baseUrl) };
    const known = await findUnended(where, environment, imageId);
    const id = known ?? (await create(where, { environment, family, commit, imageId, actor, description }));
    await state(where, id, 'in_progress', { logUrl, description });
    return id;
  },

  async end({ repository, token, environment, family, id, ended, description, logUrl, environmentUrl }) {
    const where = { ...split(repository), octokit: await octokitWith(token, baseUrl) };
    await state(where, id, ended, { logUrl, description, environmentUrl });
    if (ended === 'success') await endEarlier(where, { environment, family, id, logUrl });
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
  if (newest === undefined || payloadOf(newest.payload)?.image !== imageId) return undefined;
  const ended = await latestState({ owner, repo, octokit }, newest.id);
  return ended === undefined || ended === 'in_progress' ? newest.id : undefined;
}

// Those before it were set inactive by earlier runs.
const EARLIER_AT_MOST = 10;

/**
 * Sets the deployment of the family that was active before to inactive. GitHub does so only where the environment is no production environment.
 * https://docs.github.com/en/rest/deployments/statuses#create-a-deployment-status
 */
async function endEarlier(
  where: Repository,
  { environment, family, id, logUrl }: { environment: string; family: string; id: number; logUrl: string },
): Promise<void> {
  const { owner, repo, octokit } = where;
  const { data } = await octokit.rest.repos
    .listDeployments({ owner, repo, environment, task: TASK, per_page: EARLIER_AT_MOST })
    .catch(refused);
  for (const earlier of data.filter(one => one.id < id && payloadOf(one.payload)?.family === family)) {
    const ended = await latestState(where, earlier.id);
    if (ended === 'success') await state(where, earlier.id, 'inactive', { logUrl, description: 'Another image is current.' });
    if (ended === 'success' || ended === 'inactive') return;
  }
}

/** Undefined: it has no state yet. */
async function latestState({ owner, repo, octokit }: Repository, id: number): Promise<string | undefined> {
  const { data } = await octokit.rest.repos.listDeploymentStatuses({ owner, repo, deployment_id: id, per_page: 1 }).catch(refused);
  return data[0]?.state;
}

type Payload = { readonly image?: unknown; readonly family?: unknown; readonly actor?: unknown } | null | undefined;

/** GitHub answers with what was sent: an object, or the text of one. */
function payloadOf(payload: unknown): Payload {
  if (typeof payload !== 'string') return payload as Payload;
  try {
    return JSON.parse(payload) as Payload;
  } catch {
    return undefined;
  }
}

async function create(
  { owner, repo, octokit }: Repository,
  {
    environment,
    family,
    commit,
    imageId,
    actor,
    description,
  }: Omit<Parameters<Deployments['begin']>[0], 'repository' | 'token' | 'logUrl'>,
): Promise<number> {
  const { data } = await octokit.rest.repos
    .createDeployment({
      ...{
        owner,
        repo,
        ref: commit,
        task: TASK,
        environment,
        description: description.slice(0, 140),
        payload: { image: imageId, family, actor },
      },
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
  to: Parameters<Deployments['end']>[0]['ended'] | 'inactive',
  { logUrl, description, environmentUrl }: { logUrl: string; description: string; environmentUrl?: string },
): Promise<void> {
  await octokit.rest.repos
    .createDeploymentStatus({
      ...{ owner, repo, deployment_id: id, state: to, log_url: logUrl, description: description.slice(0, 140) },
      ...(environmentUrl === undefined ? {} : { environment_url: environmentUrl }),
    })
    .catch(refused);
}

const refused = (cause: unknown, access: 'read' | 'write' = 'write'): never => {
  const { status, message } = cause as { status?: number; message?: string };
  if (status === undefined) throw cause;
  throw new AccessError(`GitHub refused the deployment: ${status} ${message}`, {
    cause,
    next: `Add "deployments: ${access}" to the permissions of the job.`,
  });
};
