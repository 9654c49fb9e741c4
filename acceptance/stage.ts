import { type Order, type Ran, runAction } from '../lab/runner.ts';
import type { Clock } from '../src/ports/deps.ts';
import type { Answer } from './answers.ts';
import { type Cloud, NAME, OWN_REPOSITORY, STACKS } from './cloud.ts';
import type { Usage } from './cost.ts';
import type { Session } from './token.ts';

/** Roles of the shipped templates. */
type Role = 'images' | 'rollout';
const ROLES = { images: `${STACKS.delivery}-images`, rollout: `${STACKS.environment}-rollout` } as const;

export interface Stage {
  readonly account: string;
  /** Group and load balancer are here. */
  readonly home: Cloud;
  /** The second region. */
  readonly away: Cloud;
  readonly clock: Clock;
  /** Credentials of the suite's own role. Undefined: those of the environment. */
  readonly credentials: (() => Promise<Session>) | undefined;
  /** Folder of the repository that is built from. */
  readonly workspace: string;
  readonly packerVariables: Readonly<Record<string, string>>;
  readonly usages: Usage[];
  /** Answers of AWS that were seen while a mode ran, by the ID of their point. */
  readonly seen: Map<string, string>;
  readonly answers: Answer[];
  /** What steps leave for later ones. */
  readonly made: Map<string, string>;
  print(line: string): void;
}

export function have(stage: Stage, name: string): string {
  const value = stage.made.get(name);
  if (value === undefined) throw new Error(`No step has made ${name}.`);
  return value;
}

export interface Act {
  readonly mode: string;
  readonly as: Role;
  readonly with?: Readonly<Record<string, string>>;
  /** Commit that the run is for. */
  readonly commit?: string;
  readonly onStart?: Order['onStart'];
}

/** Runs the bundle in the home region, with a role of the shipped templates and the settings that every mode of the suite has. */
export async function act(stage: Stage, { mode, as, with: wanted = {}, commit = '1', onStart }: Act): Promise<Ran> {
  const role = `arn:aws:iam::${stage.account}:role/${ROLES[as]}`;
  // Only the trust of an environment's role fits the token of the workflow's job. The others are assumed by the suite's own role.
  const hasToken = as === 'rollout' && process.env['ACTIONS_ID_TOKEN_REQUEST_URL'] !== undefined;
  const session = await stage.credentials?.();
  return runAction({
    mode,
    with: {
      ...{ family: NAME, region: stage.home.region, 'allowed-account-ids': stage.account },
      ...{ 'role-to-assume': role, 'role-chaining': String(!hasToken) },
      ...wanted,
    },
    workspace: stage.workspace,
    lab: { environment: () => ({ ...environmentOfAws(hasToken), ...keysOf(session) }), calls: NO_CALLS },
    env: { GITHUB_REPOSITORY: OWN_REPOSITORY, GITHUB_SHA: commit.repeat(40), GITHUB_RUN_ID: String(process.pid), GITHUB_JOB: 'acceptance' },
    ...(onStart === undefined ? {} : { onStart }),
    onLine: line => stage.print(line),
  });
}

/** The call log is the lab's: AWS has none here. */
const NO_CALLS = { mark: () => 0, since: () => [] };

const NAMES = /^(AWS_|AMI_ACTION_CLOCK_|CHECKPOINT_)/;

const environmentOfAws = (withToken: boolean): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && (NAMES.test(name) || (withToken && name.startsWith('ACTIONS_ID_TOKEN_'))) ? [[name, value]] : [],
    ),
  );

const keysOf = (session: Session | undefined): Record<string, string> =>
  session === undefined
    ? {}
    : {
        AWS_ACCESS_KEY_ID: session.accessKeyId,
        AWS_SECRET_ACCESS_KEY: session.secretAccessKey,
        AWS_SESSION_TOKEN: session.sessionToken,
      };
