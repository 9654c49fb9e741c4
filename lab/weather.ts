import { createHash } from 'node:crypto';
import type { CallRecord } from './calls.ts';
import type { LabClock } from './clock.ts';
import { ConnectionReset, LostAnswer } from './fault-rules.ts';
import { random } from './fuzz/random.ts';
import { idsIn, idsMade, notFoundYet } from './new-ids.ts';
import type { Protocol } from './operation.ts';
import { modeOf } from './permissions.ts';
import type { Timings } from './timings.ts';
import { refusal } from './wire/refusals.ts';

/**
 * Bad weather: what AWS does on a bad day, from a seed. It strikes calls of the action and of Packer only, and no call that a test's own fault
 * names. Attempts that it refuses, or whose answer it loses, are not in the call log: an SDK repeats them.
 */
export interface Weather {
  /** Called before the call is logged. Throws what the caller gets instead of an answer. */
  before(call: WeatherCall, protocol: Protocol): Promise<void>;
  /** Called with the output. Returns what the caller gets, or throws. */
  after(call: WeatherCall, output: object): object;
  /** How often each kind of weather struck. */
  readonly struck: Readonly<Record<Kind, number>>;
}

type WeatherCall = Pick<CallRecord, 'service' | 'operation' | 'client' | 'input'>;
type Kind = 'throttled' | 'internal' | 'reset' | 'lost' | 'late' | 'hidden' | 'omitted';

/** Probabilities per call. */
const CHANCES = { throttled: 0.05, internal: 0.02, reset: 0.02, late: 0.05, lost: 0.03 } as const;

const LATE_SECONDS = 3;

export function weatherOf(seed: number, clock: LabClock): Weather {
  const roll = diceOf(seed);
  const last = new Set<string>();
  const unseen = new Map<string, number>();
  const struck: Record<Kind, number> = { throttled: 0, internal: 0, reset: 0, lost: 0, late: 0, hidden: 0, omitted: 0 };
  const strikes = (kind: keyof typeof CHANCES, name: string) => {
    if (roll(name) >= CHANCES[kind]) return false;
    struck[kind] += 1;
    last.add(name);
    return true;
  };
  /** Never twice in a row for one operation, so that a caller with few attempts gets through. */
  const hasStruck = (name: string) => last.delete(name);
  return {
    struck,
    before: async (call, protocol) => {
      if (modeOf(call) === undefined) return;
      const name = nameOf(call);
      if (!hasStruck(name)) {
        if (strikes('throttled', name)) throw refusal('throttled', protocol);
        if (strikes('internal', name)) throw refusal('internal', protocol);
        if (strikes('reset', name)) throw new ConnectionReset();
      }
      if (roll(name) < CHANCES.late) {
        struck.late += 1;
        await clock.sleep(LATE_SECONDS);
      }
      hide(call, unseen, struck, clock.now());
    },
    after: (call, output) => {
      if (modeOf(call) === undefined) return output;
      if (isOurs(call)) for (const id of idsMade(call, output)) if (HIDES.test(id)) unseen.set(id, clock.now() + UNSEEN_MS);
      const name = `lost ${nameOf(call)}`;
      if (isOurs(call) && WRITES.test(call.operation) && !hasStruck(name) && strikes('lost', name)) throw new LostAnswer();
      return withoutEmpty(output, struck);
    },
  };
}

const nameOf = (call: WeatherCall): string => `${modeOf(call)} ${isOurs(call)} ${call.operation}`;

/** Each operation of a mode has weather of its own, so that the order of calls that are made at once does not matter. */
function diceOf(seed: number): (name: string) => number {
  const dice = new Map<string, () => number>();
  return name => {
    const own = dice.get(name) ?? random(createHash('sha256').update(`${seed} ${name}`).digest().readUInt32BE());
    dice.set(name, own);
    return own();
  };
}

/** A read whose answer is lost is one that was reset. */
const WRITES = /^(?!Describe|Get|List)/;

/** Packer has no client token for all that it creates: a lost answer would fail it on AWS too. */
const isOurs = ({ client }: WeatherCall): boolean => client.includes('ami-action/');

/** Eventual consistency: https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html */
const HIDES = /^(i|ami|snap)-/;
/** Until then the first call that names a new ID does not find it: minutes later, "does not exist" means that it is gone. */
const UNSEEN_MS = 60_000;

function hide(call: WeatherCall, unseen: Map<string, number>, struck: Record<Kind, number>, now: number): void {
  if (!isOurs(call) || call.service !== 'ec2') return;
  const hidden = idsIn(call.input).find(id => (unseen.get(id) ?? 0) > now);
  if (hidden === undefined) return;
  unseen.delete(hidden);
  struck.hidden += 1;
  throw notFoundYet(hidden);
}

/** Optional members that are empty are left out. The lists of the answer itself stay: services always return them. */
function withoutEmpty(output: object, struck: Record<Kind, number>): object {
  const prune = (value: unknown, depth: number): unknown => {
    if (Array.isArray(value)) return value.map(item => prune(item, depth + 1));
    if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof Uint8Array) return value;
    const kept = Object.entries(value).filter(([, member]) => depth === 0 || !isEmpty(member));
    struck.omitted += Object.keys(value).length - kept.length;
    return Object.fromEntries(kept.map(([key, member]) => [key, prune(member, depth + 1)]));
  };
  return prune(output, 0) as object;
}

const isEmpty = (value: unknown): boolean => value === '' || (Array.isArray(value) && value.length === 0);

const SLOW: readonly (keyof Timings)[] = [
  'boot',
  'statusChecks',
  'agent',
  'delivery',
  'shutdown',
  'image',
  'copy',
  'parameterCheck',
  'targetHealth',
];

/** Transitions take up to twice as long. */
export function slowed(timings: Timings, seed: number): Timings {
  const roll = random(seed + 1);
  return { ...timings, ...Object.fromEntries(SLOW.map(name => [name, timings[name] * (1 + roll())])) };
}
