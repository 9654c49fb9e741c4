import { sweepBuild } from './image-build/sweep.ts';
import { explain } from './kit/failure.ts';
import type { Clock, JournalEntry, RegionClients, Reporter, Where } from './ports/deps.ts';

/** The `post:` step: removes what the main step recorded and did not remove. It runs after a cancel too, within GitHub's five minutes. */

export interface PostDeps {
  readonly report: Reporter;
  readonly clock: Clock;
  inRegion(where: Where): Pick<RegionClients, 'instances' | 'images' | 'leftovers'>;
  endProcess(pid: number, log: string): Promise<'gone' | 'ended' | 'killed'>;
  removeFile(path: string): Promise<void>;
}

// A process first: it may still terminate its instance. Files last: it may still read them.
const ORDER: readonly JournalEntry['kind'][] = ['process', 'instance', 'build', 'file'];

/** Handles all entries; returns a line for each that failed. */
export async function post(entries: readonly JournalEntry[], deps: PostDeps): Promise<readonly string[]> {
  const leftovers: string[] = [];
  for (const kind of ORDER) {
    for (const entry of entries.filter(candidate => candidate.kind === kind)) {
      await deps.report
        .step(`Clean up ${formatEntry(entry)}`, () => end(entry, deps))
        .catch(failure => {
          leftovers.push(`${formatEntry(entry)}: ${explain(failure)}`);
        });
    }
  }
  return leftovers;
}

const formatEntry = (entry: JournalEntry): string => {
  if (entry.kind === 'process') return `process ${entry.pid}`;
  if (entry.kind === 'build') return `resources of the build of ${entry.name} in ${entry.regions.join(', ')}`;
  return entry.kind === 'file' ? `file ${entry.path}` : `instance with token ${entry.token} in ${entry.region}`;
};

async function end(entry: JournalEntry, deps: PostDeps): Promise<void> {
  const { report, inRegion, endProcess, removeFile } = deps;
  if (entry.kind === 'build') {
    const { finished = [] } = entry;
    const swept = await sweepBuild(entry, deps, { excluded: finished, looks: 2 });
    for (const { region, kind, id } of swept) report.info(`Removed ${kind} ${id} in ${region}.`);
    if (swept.length === 0) report.info('No leftovers of Packer.');
    if (finished.length > 0)
      report.info(`${finished.join(', ')} ${finished.length === 1 ? 'is complete and is' : 'are complete and are'} kept for a later run.`);
    return undefined;
  }
  if (entry.kind === 'file') return removeFile(entry.path);
  if (entry.kind === 'process') {
    const how = await endProcess(entry.pid, entry.log);
    if (how === 'killed') report.warn(`Process ${entry.pid} did not stop and was killed. Its leftovers are removed by the next run.`);
    else report.info(how === 'gone' ? 'It had stopped already.' : 'It has stopped.');
    return undefined;
  }
  const { instances } = inRegion({ region: entry.region });
  const instance = await instances.findByToken(entry.token);
  if (instance === undefined || instance.state === 'terminated' || instance.state === 'shutting-down') {
    report.info('It was not launched, or is terminated.');
    return undefined;
  }
  await instances.terminate([instance.id]);
  report.info(`Terminating ${instance.id}.`);
  return undefined;
}
