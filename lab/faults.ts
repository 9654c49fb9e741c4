import type { CallRecord } from './calls.ts';
import type { LabClock } from './clock.ts';
import { ConnectionReset, type FaultAction, type FaultRule, type Faults, RawResponse } from './fault-rules.ts';
import { idsIn, idsMade, notFoundYet } from './new-ids.ts';
import { AwsError, type Protocol } from './operation.ts';
import { refusal } from './wire/refusals.ts';

/** The rules as the HTTP server applies them, once per call. */
export interface FaultBook extends Faults {
  /** Whether a rule names this call: what a test has arranged for a call, weather leaves alone. */
  concerns(call: CallRecord): boolean;
  strike(call: CallRecord, protocol: Protocol, work: () => Promise<object>): Promise<object>;
}

interface Armed {
  readonly rule: FaultRule;
  seen: number;
  /** IDs created since the rule was added, each with the number of calls that named it. */
  readonly newIds: Map<string, number>;
  readonly answers: Map<string, object>;
}

export function faultBook(clock: LabClock): FaultBook {
  let armed: readonly Armed[] = [];
  const add = (rule: FaultRule) => {
    const entry: Armed = { rule, seen: 0, newIds: new Map(), answers: new Map() };
    armed = [...armed, entry];
    return () => {
      armed = armed.filter(other => other !== entry);
    };
  };
  return {
    add,
    killAtCall: (n, kill, at = 'before') => add({ nth: n, action: { kill, at } }),
    clear: () => {
      armed = [];
    },
    rules: () => armed.map(({ rule }) => rule),
    // A rule that hides new IDs is weather itself.
    concerns: call => armed.some(({ rule }) => rule.operation !== undefined && !('hideNewIds' in rule.action) && fits(rule, call)),
    strike: async (call, protocol, work) => {
      const struck = armed.filter(entry => strikes(entry, call));
      for (const entry of struck) await before(entry, call, protocol, clock);
      const output = await answer(struck, call, work).catch(async refused => {
        for (const { rule } of struck) if ('kill' in rule.action && rule.action.at === 'ended') await after(rule.action, call);
        throw refused;
      });
      for (const entry of armed) for (const id of idsMade(call, output)) entry.newIds.set(id, 0);
      for (const { rule } of struck) await after(rule.action, call);
      const omitted = struck.flatMap(({ rule: { action } }) => ('omit' in action ? action.omit : []));
      return omitted.reduce<object>((rest, path) => without(rest, path.split('.')) as object, output);
    },
  };
}

function fits(rule: FaultRule, call: CallRecord): boolean {
  const same = (wanted: string | undefined, is: string) => wanted === undefined || wanted === is;
  const named = rule.operation === undefined || glob(rule.operation).test(call.operation);
  if (!named || !same(rule.service, call.service) || !same(rule.account, call.account) || !same(rule.region, call.region)) return false;
  return rule.when === undefined || rule.when(call);
}

function strikes(entry: Armed, call: CallRecord): boolean {
  const { rule } = entry;
  if (!fits(rule, call)) return false;
  entry.seen += 1;
  const first = rule.nth ?? 1;
  const times = rule.times ?? (rule.nth === undefined ? Number.POSITIVE_INFINITY : 1);
  return entry.seen >= first && entry.seen < first + times;
}

async function before(entry: Armed, call: CallRecord, protocol: Protocol, clock: LabClock): Promise<void> {
  const { action } = entry.rule;
  if ('error' in action) throw new AwsError(action.error, action.message ?? 'A fault of the lab.', action.status ?? 400);
  if ('refuse' in action) throw refusal(action.refuse, protocol);
  if ('reset' in action && action.reset === 'before') throw new ConnectionReset();
  if ('delaySeconds' in action) await clock.sleep(action.delaySeconds);
  if ('hideNewIds' in action) hide(entry, call, action.hideNewIds);
  if ('respond' in action && action.at === 'before') throw new RawResponse(action.respond);
  if ('run' in action && action.at === 'before') await action.run(call);
  if ('kill' in action && action.at === 'before') {
    await end(action.kill);
    throw new ConnectionReset();
  }
}

async function after(action: FaultAction, call: CallRecord): Promise<void> {
  if ('reset' in action && action.reset === 'after') throw new ConnectionReset();
  if ('respond' in action && action.at !== 'before') throw new RawResponse(action.respond);
  if ('run' in action && action.at === 'after') await action.run(call);
  if ('kill' in action && action.at !== 'before') await end(action.kill);
}

/** A copy of the value without the member at the path. `[]` stands for every element of a list. */
function without(value: unknown, [first = '', ...rest]: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const name = first.replace(/\[\]$/, '');
  const { [name]: member, ...others } = value as Readonly<Record<string, unknown>>;
  if (member === undefined || rest.length === 0) return others;
  const inner = first.endsWith('[]') && Array.isArray(member) ? member.map(item => without(item, rest)) : without(member, rest);
  return { ...others, [name]: inner };
}

const end = async (victim: number | (() => void | Promise<void>)) => {
  if (typeof victim === 'function') await victim();
  else process.kill(victim, 'SIGKILL');
};

async function answer(struck: readonly Armed[], call: CallRecord, work: () => Promise<object>): Promise<object> {
  let output = await honest(struck, call, work);
  for (const { rule } of struck) if ('answer' in rule.action) output = rule.action.answer(output, call);
  return output;
}

async function honest(struck: readonly Armed[], call: CallRecord, work: () => Promise<object>): Promise<object> {
  const stale = struck.find(({ rule }) => 'stale' in rule.action);
  if (stale === undefined) return work();
  const question = JSON.stringify([call.service, call.operation, call.account, call.region, call.input]);
  const known = stale.answers.get(question) ?? (await work());
  stale.answers.set(question, known);
  return known;
}

function hide(entry: Armed, call: CallRecord, calls: number): void {
  for (const id of idsIn(call.input)) {
    const named = entry.newIds.get(id);
    if (named === undefined || named >= calls) continue;
    entry.newIds.set(id, named + 1);
    throw notFoundYet(id);
  }
}

const glob = (pattern: string): RegExp => new RegExp(`^${pattern.replace(/[^\w*]/g, '\\$&').replaceAll('*', '.*')}$`);
