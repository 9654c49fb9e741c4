import { sweepBuild } from './image-build/sweep.ts';
import { explain } from './kit/failure.ts';
import type { Clock, JournalEntry, RegionClients, Reporter, Where } from './ports/deps.ts';

/** The `post:` step: ends what the main step remembered and did not get to. It runs after a cancel too, within GitHub's five minutes. */

export interface PostWorld {
  readonly report: Reporter;
  readonly clock: Clock;
  inRegion(where: Where): Pick<RegionClients, 'instances' | 'images' | 'leftovers'>;
  endProcess(pid: number, log: string): Promise<'gone' | 'ended' | 'killed'>;
  removeFile(path: string): Promise<void>;
}

// A process first: it may still be ending its own instance, so what it leaves is looked for after it. Files last: it may still read them.
const ORDER: readonly JournalEntry['kind'][] = ['process', 'instance', 'build', 'file'];

/** Goes through all of them, whatever fails; returns what could not be ended. */
export async function post(entries: readonly JournalEntry[], deps: PostWorld): Promise<readonly string[]> {
  const leftovers: string[] = [];
  for (const kind of ORDER) {
    for (const entry of entries.filter(candidate => candidate.kind === kind)) {
      await deps.report
        .step(`End what was left: ${say(entry)}`, () => end(entry, deps))
        .catch(failure => {
          leftovers.push(`${say(entry)}: ${explain(failure)}`);
        });
    }
  }
  return leftovers;
}

const say = (entry: JournalEntry): string => {
  if (entry.kind === 'process') return `process ${entry.pid}`;
  if (entry.kind === 'build') return `what the build of ${entry.name} made in ${entry.regions.join(', ')}`;
  return entry.kind === 'file' ? `file ${entry.path}` : `instance with token ${entry.token} in ${entry.region}`;
};

async function end(entry: JournalEntry, deps: PostWorld): Promise<void> {
  const { report, inRegion, endProcess, removeFile } = deps;
  if (entry.kind === 'build') {
    const { finished = [] } = entry;
    const swept = await sweepBuild(entry, deps, { excluded: finished, looks: 2 });
    for (const { region, kind, id } of swept) report.info(`Removed ${kind} ${id} in ${region}.`);
    if (swept.length === 0) report.info('Packer left nothing.');
    if (finished.length > 0)
      report.info(`${finished.join(', ')} ${finished.length === 1 ? 'is finished and stays' : 'are finished and stay'} for a later run.`);
    return undefined;
  }
  if (entry.kind === 'file') return removeFile(entry.path);
  if (entry.kind === 'process') {
    const how = await endProcess(entry.pid, entry.log);
    if (how === 'killed')
      report.warn(`Process ${entry.pid} did not end when asked and was killed: what it made may be left, the next run sweeps it.`);
    else report.info(how === 'gone' ? 'It had ended already.' : 'It has ended.');
    return undefined;
  }
  const { instances } = inRegion({ region: entry.region });
  const instance = await instances.findByToken(entry.token);
  if (instance === undefined || instance.state === 'terminated' || instance.state === 'shutting-down') {
    report.info('It was never launched, or is gone.');
    return undefined;
  }
  await instances.terminate([instance.id]);
  report.info(`${instance.id} is being terminated.`);
  return undefined;
}
