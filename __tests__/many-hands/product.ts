import type { Lab } from '../../lab/lab.ts';
import { regionClients } from '../../src/adapters/aws/region-clients.ts';
import { systemClock } from '../../src/adapters/clock.ts';
import { main } from '../../src/main.ts';
import { modes } from '../../src/modes.ts';
import type { AllDeps, Reporter } from '../../src/ports/deps.ts';

/** Runs a mode as src/index.ts does, with the real adapters of AWS, next to others in one process. The runner's side is in memory. */

export interface ProductRun {
  readonly id: string;
  readonly mode: 'promote' | 'rollback';
  readonly event: string;
  readonly settings: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly outputs: Readonly<Record<string, string>>;
  readonly failure: string | undefined;
}

// Each run is a process of its own and builds a schema once. Here they share it.
for (const setting of Object.values(modes).flatMap(({ settings }) => Object.values(settings))) {
  let built: ReturnType<typeof setting.schema> | undefined;
  const { schema } = setting;
  Object.assign(setting, { schema: () => (built ??= schema()) });
}

const ROLE = 'arn:aws:iam::111122223333:role/deploy';

/** Of the session that the calls of a run are made with. */
export const arnOf = (id: string): string => `arn:aws:sts::111122223333:assumed-role/deploy/ami-action-${id}-1`;

export async function runProduct(run: ProductRun, lab: Lab, cancelled: AbortSignal, log: (line: string) => void): Promise<Ended> {
  const outputs: Record<string, string> = {};
  let failure: string | undefined;
  const clock = systemClock(cancelled, lab.environment());
  const report = inMemory(log);
  const facts = runFacts(run, cancelled);
  await main(
    {
      given: () => ({ mode: run.mode, 'role-to-assume': ROLE, 'role-chaining': 'true', ...run.settings }),
      file: () => undefined,
      environmentRegion: () => lab.place().region,
      output: (name, value) => void Object.assign(outputs, { [name]: value }),
      fail: message => {
        failure = message;
      },
      summary: async () => undefined,
      debug: () => undefined,
    },
    async settings => {
      const inRegion = regionClients({ ...settings, mode: run.mode, clock, run: facts, report });
      const unused = new Proxy({}, { get: (_, name) => unusedPort(String(name)) });
      const deps = { clock, report, run: facts, inRegion, journal: unused, files: unused, content: unused, packer: unused } as object;
      return { deps: { ...deps, commits: unused, deployments: unused } as AllDeps, close: async () => undefined };
    },
  );
  return { outputs, failure };
}

function unusedPort(name: string): never {
  throw new Error(`a rollout does not use ${name}`);
}

const runFacts = ({ id, event }: ProductRun, cancelled: AbortSignal) => ({
  ...{ repository: 'acme/web', commit: '1'.repeat(40), ref: 'refs/heads/main', id, attempt: '1', job: 'deliver', actor: 'octocat', event },
  ...{ url: `https://github.com/acme/web/actions/runs/${id}`, workspace: '/nowhere', temp: '/nowhere', cancelled },
});

const inMemory = (log: (line: string) => void): Reporter => ({
  step: async (title, work) => {
    log(`[${title}]`);
    return work();
  },
  info: log,
  warn: message => log(`warning: ${message}`),
  debug: () => undefined,
  untrusted: () => undefined,
  summary: () => undefined,
  mask: () => undefined,
});
