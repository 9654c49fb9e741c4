import type { Identity, Lab } from '../lab/lab.ts';
import { type Ran, runAction } from '../lab/runner.ts';
import { askGroup, type Cloud, pointerValue } from './fleet.ts';
import type { Chapter } from './page.ts';
import type { Repository } from './repository.ts';

/** What a chapter can do. */
export interface Scene {
  readonly lab: Lab;
  readonly cloud: Cloud;
  readonly repository: Repository;
  /** Runs a job of the pipeline on the newest commit. `ends`: the expected result. `as`: default is an administrator of the first account. */
  job(name: string, mode: string, settings?: Readonly<Record<string, string>>, ends?: 'green' | 'red', as?: Identity): Promise<Ran>;
  commit(message: string, version: string, server?: (original: string) => string): void;
  print(line: string): void;
  /** Asks every instance of the groups for its version. The demo is red if one answers another version. */
  proof(groups: Readonly<Record<string, string>>, cloud?: Cloud): Promise<void>;
  pointer(environment: string): Promise<string>;
  expect(condition: boolean, message: string): void;
}

export interface Play {
  readonly title: string;
  readonly summary: string;
  play(scene: Scene): Promise<void>;
}

interface Props {
  readonly lab: Lab;
  readonly cloud: Cloud;
  readonly repository: Repository;
  readonly environment: Readonly<Record<string, string>>;
}

type Open = { -readonly [K in keyof Chapter]: Chapter[K] } & { jobs: Chapter['jobs'][number][] };

export function stage(props: Props) {
  const played: Open[] = [];
  const state = { failed: false, runs: 0, sha: '' };
  return {
    async play({ title, summary, play }: Play): Promise<void> {
      console.log(`\n${played.length + 1}. ${title}\n   ${summary}`);
      const chapter: Open = { title, summary, jobs: [] };
      played.push(chapter);
      await play(scene(props, chapter, state));
    },
    chapters: (): readonly Chapter[] => played,
    jobs: () => state.runs,
    failed: () => state.failed,
  };
}

function scene(props: Props, chapter: Open, state: { failed: boolean; runs: number; sha: string }): Scene {
  const expect = (condition: boolean, message: string) => {
    if (condition) return;
    state.failed = true;
    console.log(`   !! ${message}`);
  };
  return {
    ...props,
    expect,
    print: line => console.log(`   ${line}`),
    commit(message, version, server = original => original) {
      state.sha = props.repository.commit(message, version, server);
      console.log(`   commit ${state.sha.slice(0, 7)} ${message}`);
    },
    async job(name, mode, settings = {}, ends = 'green', as = {}) {
      state.runs += 1;
      const startedAt = Date.now();
      console.log(`   ┌ ${name}`);
      const ran = await runAction({ ...orderOf(props, mode, settings, state), as: { role: roleFor(mode, settings), ...as } });
      const green = ran.exitCode === 0;
      chapter.jobs.push({ name, green, expected: ends === 'green', summary: ran.summary, seconds: (Date.now() - startedAt) / 1000 });
      for (const error of ran.errors) for (const line of error.split('\n')) console.log(`   │   ${line}`);
      console.log(`   └ ${green ? '✓' : '✕'} ${ran.outputs['outcome'] ?? 'no outcome'}`);
      expect(green === (ends === 'green'), `${name} should have ended ${ends}:\n${ran.log}`);
      return ran;
    },
    proof: (groups, cloud = props.cloud) => prove(groups, { ...props, cloud }, chapter, expect),
    pointer: environment => pointerValue(props.cloud, `/ami/web/${environment}`),
  };
}

async function prove(
  groups: Readonly<Record<string, string>>,
  { cloud, lab }: Props,
  chapter: Open,
  expect: Scene['expect'],
): Promise<void> {
  const answers = await Promise.all(Object.keys(groups).map(group => askGroup(cloud, lab, group)));
  chapter.proof = [chapter.proof, ...answers].filter(part => part !== undefined).join('\n');
  for (const line of answers.join('\n').split('\n')) console.log(`   ${line}`);
  for (const [i, version] of Object.values(groups).entries()) {
    const lines = (answers[i] ?? '').split('\n').slice(1);
    expect(
      lines.length > 0 && lines.every(line => line.endsWith(`web is active, version ${version}`)),
      `every instance should run ${version}`,
    );
  }
}

/** The role of the shipped templates that is for this job. */
function roleFor(mode: string, { environment = '' }: Readonly<Record<string, string>>): string {
  if (mode === 'promote' || mode === 'rollback') return `ami-web-${environment}-rollout`;
  return mode === 'list' || mode === 'resolve' ? 'ami-web-read' : 'ami-web-images';
}

const orderOf = (
  { lab, repository, environment }: Props,
  mode: string,
  settings: Readonly<Record<string, string>>,
  { sha, runs }: { sha: string; runs: number },
) => {
  const printed = new Set<string>();
  return {
    mode,
    with: settings,
    lab,
    workspace: repository.path,
    env: { ...environment, GITHUB_SHA: sha, GITHUB_RUN_ID: String(1000 + runs), GITHUB_JOB: mode },
    onLine: (line: string) => {
      const shown = progress(line, repository.path);
      if (shown === undefined || printed.has(shown)) return;
      printed.add(shown);
      console.log(`   │ ${shown.length > WIDTH ? `${shown.slice(0, WIDTH)} …` : shown}`);
    },
  };
};

const WIDTH = 150;

// Of Packer's output only the lines that change something. A real job's log has all of it.
const DETAILS =
  /Adding tag|Creating \w+ tags$|skipping$|Skipping|Prevalidating|Modifying|Tagging|Attaching|Waiting for|Cleaning up|Deleting temporary|Stopping instance$|^==> (?!amazon)|^-->/;

/** The log of a job without workflow commands and without details that only debugging needs. */
function progress(line: string, workspace: string): string | undefined {
  if (line.startsWith('::group::')) return `▸ ${line.slice('::group::'.length)}`;
  if (line.startsWith('::warning')) return `! ${line.slice(line.indexOf('::', 2) + 2)}`;
  if (line.startsWith('::') || line.trim() === '') return undefined;
  if (/^(==>|-->) /.test(line) && DETAILS.test(line)) return undefined;
  // AWS names another example instance at every poll.
  const plain = line.replace(/^==> amazon-ebs\.\w+: /, 'Packer: ').replace(/\.? AWS: Waiting for remaining .*/, '');
  return `  ${plain.replaceAll(`${workspace}/`, '')}`;
}
