import { sweepBuild } from './image-build/sweep.ts';
import { TimeoutError } from './kit/errors.ts';
import { explain } from './kit/failure.ts';
import { type Poll, waitFor } from './kit/wait.ts';
import type { Clock, JournalEntry, RegionClients, Reporter, Where } from './ports/deps.ts';
import type { Instance } from './ports/instances.ts';

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
          leftovers.push(`${formatEntry(entry)}: ${explain(failure)}${manually(entry)}`);
        });
    }
  }
  return leftovers;
}

const formatEntry = (entry: JournalEntry): string => {
  if (entry.kind === 'process') return `process ${entry.pid}`;
  if (entry.kind === 'build') return `resources of the build of ${entry.name} in ${entry.regions.join(', ')}`;
  if (entry.kind === 'file') return `file ${entry.path}`;
  return `instance ${entry.id ?? `with client token ${entry.token}`} in ${entry.region}`;
};

const manually = (entry: JournalEntry): string =>
  entry.kind === 'instance' && entry.id !== undefined
    ? `\nTerminate it: aws ec2 terminate-instances --region ${entry.region} --instance-ids ${entry.id}`
    : '';

async function end(entry: JournalEntry, deps: PostDeps): Promise<void> {
  const { report, endProcess, removeFile } = deps;
  if (entry.kind === 'build') {
    const { finished = [] } = entry;
    const swept = await sweepBuild(entry, deps, { excluded: finished, looks: 2 });
    for (const { region, kind, id } of swept) report.info(`Removed ${kind} ${id} in ${region}.`);
    const reported = (entry.created ?? []).filter(id => ![...finished, ...swept.map(one => one.id)].includes(id));
    if (reported.length > 0)
      report.info(
        `Packer created ${reported.join(', ')}, which no longer ${reported.length === 1 ? 'exists' : 'exist'} in ${entry.regions.join(', ')}.`,
      );
    else if (swept.length === 0) report.info('No leftovers of Packer.');
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
  return endInstance(entry, deps);
}

// DescribeInstances is eventually consistent. https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
const VISIBLE_SECONDS = 30;
/** Well within GitHub's five minutes for the step. */
const TERMINATION_SECONDS = 120;

const isEnding = ({ state }: Instance): boolean => state === 'terminated' || state === 'shutting-down';

async function endInstance({ region, token, id }: JournalEntry & { kind: 'instance' }, deps: PostDeps): Promise<void> {
  const { instances } = deps.inRegion({ region });
  const poll = async (): Promise<Poll<Instance>> => {
    const value = await instances.findByToken(token, id);
    return value === undefined ? { state: 'waiting', note: 'not visible' } : { state: 'done', value };
  };
  const wait = { what: `Instance ${id ?? 'of the interrupted launch'}`, everySeconds: 5, atMostSeconds: VISIBLE_SECONDS, poll };
  const instance = await waitFor(wait, deps).catch(failure => {
    if (!(failure instanceof TimeoutError) || id !== undefined) throw failure;
  });
  if (instance === undefined || isEnding(instance)) {
    deps.report.info('It was not launched, or is terminated.');
    return;
  }
  // EC2 may list an instance and not know it yet when it is to end: it is asked until it ends.
  const terminate = async (): Promise<Poll<undefined>> => {
    await instances.terminate([instance.id]);
    const seen = await instances.findByToken(token, instance.id);
    if (seen !== undefined && isEnding(seen)) return { state: 'done', value: undefined };
    return { state: 'waiting', note: seen === undefined ? 'not visible' : `still ${seen.state}` };
  };
  await waitFor({ ...wait, what: `Termination of ${instance.id}`, atMostSeconds: TERMINATION_SECONDS, poll: terminate }, deps);
  deps.report.info(`Terminating ${instance.id}.`);
}
