import type { Lab } from '../lab/lab.ts';
import { type Ran, runAction } from '../lab/runner.ts';
import { askGroup, type Cloud, pointerValue } from './fleet.ts';
import type { Chapter } from './page.ts';
import type { Repository } from './repository.ts';

/** What a chapter can do, and what it leaves for the page. */
export interface Scene {
  readonly lab: Lab;
  readonly cloud: Cloud;
  readonly repository: Repository;
  /** A job of the pipeline, on the newest commit. `ends`: how the story says that it ends. */
  job(name: string, mode: string, settings?: Readonly<Record<string, string>>, ends?: 'green' | 'red'): Promise<Ran>;
  commit(message: string, version: string, server?: (original: string) => string): void;
  say(line: string): void;
  /** Asks the instances of the groups, and stops the story when one does not say what it should. */
  proof(groups: Readonly<Record<string, string>>): Promise<void>;
  pointer(environment: string): Promise<string>;
  insist(truth: boolean, otherwise: string): void;
}

export interface Play {
  readonly title: string;
  readonly told: string;
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
  const state = { wrong: false, runs: 0, sha: '' };
  return {
    async play({ title, told, play }: Play): Promise<void> {
      console.log(`\n${played.length + 1}. ${title}\n   ${told}`);
      const chapter: Open = { title, told, jobs: [] };
      played.push(chapter);
      await play(scene(props, chapter, state));
    },
    chapters: (): readonly Chapter[] => played,
    jobs: () => state.runs,
    wentWrong: () => state.wrong,
  };
}

function scene(props: Props, chapter: Open, state: { wrong: boolean; runs: number; sha: string }): Scene {
  const insist = (truth: boolean, otherwise: string) => {
    if (truth) return;
    state.wrong = true;
    console.log(`   !! ${otherwise}`);
  };
  return {
    ...props,
    insist,
    say: line => console.log(`   ${line}`),
    commit(message, version, server = original => original) {
      state.sha = props.repository.commit(message, version, server);
      console.log(`   commit ${state.sha.slice(0, 7)} ${message}`);
    },
    async job(name, mode, settings = {}, ends = 'green') {
      state.runs += 1;
      const startedAt = Date.now();
      console.log(`   ┌ ${name}`);
      const ran = await runAction(orderOf(props, mode, settings, state));
      const green = ran.exitCode === 0;
      chapter.jobs.push({ name, green, expected: ends === 'green', summary: ran.summary, seconds: (Date.now() - startedAt) / 1000 });
      for (const error of ran.errors) for (const line of error.split('\n')) console.log(`   │   ${line}`);
      console.log(`   └ ${green ? '✓' : '✕'} ${ran.outputs['outcome'] ?? 'no outcome'}`);
      insist(green === (ends === 'green'), `${name} should have ended ${ends}:\n${ran.log}`);
      return ran;
    },
    proof: groups => prove(groups, props, chapter, insist),
    pointer: environment => pointerValue(props.cloud, `/ami/web/${environment}`),
  };
}

async function prove(
  groups: Readonly<Record<string, string>>,
  { cloud, lab }: Props,
  chapter: Open,
  insist: Scene['insist'],
): Promise<void> {
  const answers = await Promise.all(Object.keys(groups).map(group => askGroup(cloud, lab, group)));
  chapter.proof = [chapter.proof, ...answers].filter(part => part !== undefined).join('\n');
  for (const line of answers.join('\n').split('\n')) console.log(`   ${line}`);
  for (const [i, version] of Object.values(groups).entries()) {
    const lines = (answers[i] ?? '').split('\n').slice(1);
    insist(
      lines.length > 0 && lines.every(line => line.endsWith(`web is active, version ${version}`)),
      `every instance should run ${version}`,
    );
  }
}

const orderOf = (
  { lab, repository, environment }: Props,
  mode: string,
  settings: Readonly<Record<string, string>>,
  { sha, runs }: { sha: string; runs: number },
) => {
  const said = new Set<string>();
  return {
    mode,
    with: settings,
    lab,
    workspace: repository.path,
    env: { ...environment, GITHUB_SHA: sha, GITHUB_RUN_ID: String(1000 + runs), GITHUB_JOB: mode },
    onLine: (line: string) => {
      const shown = progress(line, repository.path);
      if (shown === undefined || said.has(shown)) return;
      said.add(shown);
      console.log(`   │ ${shown.length > WIDTH ? `${shown.slice(0, WIDTH)} …` : shown}`);
    },
  };
};

const WIDTH = 150;

// Of what Packer says, what changes something; everything stands in the log of a real job.
const SMALL_PRINT =
  /Adding tag|Creating \w+ tags$|skipping$|Skipping|Prevalidating|Modifying|Tagging|Attaching|Waiting for|Cleaning up|Deleting temporary|Stopping instance$|^==> (?!amazon)|^-->/;

/** The log of a job without the runner's own language, and without what only somebody who looks for a fault wants to read. */
function progress(line: string, workspace: string): string | undefined {
  if (line.startsWith('::group::')) return `▸ ${line.slice('::group::'.length)}`;
  if (line.startsWith('::warning')) return `! ${line.slice(line.indexOf('::', 2) + 2)}`;
  if (line.startsWith('::') || line.trim() === '') return undefined;
  if (/^(==>|-->) /.test(line) && SMALL_PRINT.test(line)) return undefined;
  // A roll says how far it is; AWS names another example at every look.
  const plain = line.replace(/^==> amazon-ebs\.\w+: /, 'Packer: ').replace(/\.? AWS says: Waiting for remaining .*/, '');
  return `  ${plain.replaceAll(`${workspace}/`, '')}`;
}
