import { RejectedError, TimeoutError, UnknownError, UnreachableError } from '../kit/errors.ts';
import { type Poll, waitFor } from '../kit/wait.ts';
import { parseDescription } from '../model/pointer.ts';
import type { Deps, RegionClients } from '../ports/deps.ts';
import type { ParameterVersion, ParameterWrite } from '../ports/groups.ts';

/** A parameter, written so that one knows it: the answer of a call may get lost, and one that comes promises nothing. */

export type PointerClients = Pick<RegionClients, 'parameters'>;
export type PointerDeps = Pick<Deps<never>, 'clock' | 'report' | 'run'>;

/**
 * The version that it became. Where AWS says that it exists already, or that somebody writes it right now, that may be our own call, whose
 * answer got lost. Or it was deleted a moment ago: its name is free again after half a minute.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DeleteParameter.html
 */
export async function writeParameter(wish: ParameterWrite, deps: PointerDeps, { parameters }: PointerClients): Promise<number> {
  let asked = false;
  const poll = async (): Promise<Poll<number>> => {
    const [newest] = asked ? await parameters.history(wish.name) : [];
    if (newest !== undefined && newest.version > (wish.existing?.version ?? 0)) {
      if (isSameWrite(newest, wish)) return { state: 'done', value: newest.version };
      throw new RejectedError(`Somebody else wrote ${wish.name} just now: it names ${newest.value}, and says "${newest.description}".`, {
        next: 'Run the job again when that is over.',
      });
    }
    asked = true;
    const version = await parameters.write(wish);
    return version === undefined
      ? { state: 'waiting', note: 'AWS says that somebody made or writes it right now, and does not show it' }
      : { state: 'done', value: version };
  };
  return waitFor({ what: wish.name, everySeconds: 5, atMostSeconds: 60, poll, next: 'Run the job again in a minute.' }, deps);
}

/** Another run that says the same is as good as ours. */
const isSameWrite = (there: ParameterVersion, wish: ParameterWrite): boolean =>
  there.value === wish.value &&
  (there.description === wish.description ||
    JSON.stringify(parseDescription(there.description)) === JSON.stringify(parseDescription(wish.description)));

interface Written {
  readonly name: string;
  readonly value: string;
  readonly version: number;
}

/** 200 does not mean stored. https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html */
export async function verifyParameter(wanted: Written, deps: PointerDeps, { parameters }: PointerClients): Promise<void> {
  let silence: unknown;
  const poll = async (): Promise<Poll<void>> => {
    silence = undefined;
    const seen = await parameters.read(wanted.name).catch((cause: unknown) => {
      if (!(cause instanceof TimeoutError)) throw notReadBack(wanted, cause);
      silence = cause;
    });
    if (silence !== undefined) return { state: 'waiting', note: 'AWS does not answer in time' };
    if (seen !== undefined && seen.version > wanted.version && seen.value !== wanted.value) {
      return { state: 'failed', reason: `somebody else wrote ${seen.value} (version ${seen.version}) right after us` };
    }
    return seen?.value === wanted.value && seen.version >= wanted.version
      ? { state: 'done', value: undefined }
      : { state: 'waiting', note: `holds ${seen?.value ?? 'nothing'} (version ${seen?.version ?? 0}), not ${wanted.value} yet` };
  };
  try {
    await waitFor({ what: wanted.name, everySeconds: 2, atMostSeconds: 120, poll }, deps);
  } catch (cause) {
    if (!(cause instanceof TimeoutError)) throw cause;
    if (silence !== undefined) throw notReadBack(wanted, silence);
    throw new RejectedError(
      `AWS took the write of ${wanted.name} and never stored it: is ${wanted.value} visible in this account and region? ${cause.message}`,
      {
        cause,
        next: 'Share the image with this account (mode "share"), or copy it to this region.',
      },
    );
  }
}

/** Written, but nobody says whether it was stored. What forbids us to look is no such doubt: it stays what it is. */
const notReadBack = ({ name, value, version }: Written, cause: unknown): unknown =>
  cause instanceof TimeoutError || cause instanceof UnknownError || cause instanceof UnreachableError
    ? new UnknownError(`${name} was written with ${value} (version ${version}), and could not be read back: ${cause.message}`, {
        cause,
        next: `Look at it (aws ssm get-parameter --name ${name}), then run the job again with the same settings.`,
      })
    : cause;
