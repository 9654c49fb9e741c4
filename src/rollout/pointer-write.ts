import { RejectedError, TimeoutError, UnknownError, UnreachableError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { parseDescription } from '../model/pointer.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { ParameterVersion, ParameterWrite } from '../ports/groups.ts';

/** Writes a parameter and verifies it: the answer of a call may get lost, and an answer is no proof that AWS stored the value. */

export type PointerClients = Pick<RegionClients, 'parameters'>;
export type PointerDeps = Pick<Deps<never>, 'clock' | 'report' | 'run'>;

/**
 * Returns the new version. Where AWS reports that the parameter exists or is being written, that may be our own call whose answer got lost,
 * or a deletion: the name is free again after half a minute.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html
 */
export async function writeParameter(wanted: ParameterWrite, deps: PointerDeps, { parameters }: PointerClients): Promise<number> {
  let sent = false;
  const poll = async (): Promise<Poll<number>> => {
    const [newest] = sent ? await parameters.history(wanted.name) : [];
    if (newest !== undefined && newest.version > (wanted.existing?.version ?? 0)) {
      if (isSameWrite(newest, wanted)) return { state: 'done', value: newest.version };
      throw new RejectedError(
        `Another process wrote ${wanted.name} at the same time: it names ${newest.value}, with the description "${newest.description}".`,
        { next: 'Run the job again when that process has finished.' },
      );
    }
    sent = true;
    const version = await parameters.write(wanted);
    return version === undefined
      ? { state: 'waiting', note: 'AWS reports a concurrent write and does not show it yet' }
      : { state: 'done', value: version };
  };
  return waitFor({ what: wanted.name, everySeconds: 5, atMostSeconds: 60, poll, next: 'Run the job again in a minute.' }, deps);
}

/** The same write by another run counts as ours. */
const isSameWrite = (found: ParameterVersion, wanted: ParameterWrite): boolean =>
  found.value === wanted.value &&
  (found.description === wanted.description ||
    JSON.stringify(parseDescription(found.description)) === JSON.stringify(parseDescription(wanted.description)));

interface Written {
  readonly name: string;
  readonly value: string;
  readonly version: number;
}

// AWS checks that the image exists before it stores its ID, so an answer at once shows the value before.
const CHECK_SECONDS = 2;

/** Throws unless AWS stored the value. https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html */
export async function verifyParameter(written: Written, deps: PointerDeps, { parameters }: PointerClients): Promise<void> {
  const { name, value, version } = written;
  let timeout: unknown;
  const poll = async (): Promise<Poll<void>> => {
    timeout = undefined;
    const found = await parameters.read(name).catch((cause: unknown) => {
      if (!(cause instanceof TimeoutError)) throw notReadBack(written, cause);
      timeout = cause;
    });
    if (timeout !== undefined) return { state: 'waiting', note: 'AWS did not answer in time' };
    if (found !== undefined && found.version > version && found.value !== value) {
      return { state: 'failed', reason: `another process wrote ${found.value} (version ${found.version}) right after this run` };
    }
    return found?.value === value && found.version >= version
      ? { state: 'done', value: undefined }
      : { state: 'waiting', note: `AWS has not stored ${value} yet` };
  };
  await deps.clock.sleep(CHECK_SECONDS * 1000);
  try {
    await waitFor({ what: name, everySeconds: CHECK_SECONDS, atMostSeconds: 120, poll }, deps);
  } catch (cause) {
    if (!(cause instanceof TimeoutError)) throw cause;
    if (timeout !== undefined) throw notReadBack(written, timeout);
    throw new RejectedError(
      `AWS accepted the write of ${name} and never stored it: ${value} is probably not visible in this account and region. ${cause.message}`,
      { cause, next: 'If the image still exists, share it with this account (mode "share"), or copy it to this region.' },
    );
  }
}

/** The write may or may not be stored. A missing permission is no such doubt: it is reported unchanged. */
const notReadBack = ({ name, value, version }: Written, cause: unknown): unknown =>
  cause instanceof TimeoutError || cause instanceof UnknownError || cause instanceof UnreachableError
    ? new UnknownError(`${name} was set to ${value} (version ${version}), but could not be read back: ${cause.message}`, {
        cause,
        next: `Check it (aws ssm get-parameter --name ${name}), then run the job again with the same settings.`,
      })
    : cause;
