import { UsageError } from '../kit/errors.ts';
import type { Files } from '../ports/deps.ts';
import type { Check, Delivered } from './rules/checks.ts';
import { checksScript, MOST_SCRIPT_CHARACTERS } from './rules/checks-script.ts';
import { userDataProblem } from './rules/test-run.ts';

/** The files that checks name, by check. Throws one `UsageError` with everything that does not exist or is too large. */
export async function readDeliveries(checks: readonly Check[], files: Files): Promise<readonly (readonly Delivered[])[]> {
  const problems: string[] = [];
  const found = await Promise.all(
    checks.map(async (check, index) => {
      const paths = [...(check.script === undefined ? [] : [check.script]), ...check.files];
      const read = await Promise.all(paths.map(path => files.read(path)));
      problems.push(
        ...paths
          .filter((_, at) => read[at] === undefined)
          .map(path => `"checks[${index + 1}]" names ${path}, which does not exist in the repository`),
      );
      if (check.script !== undefined && (read[0]?.length ?? 0) > 1)
        problems.push(
          `"checks[${index + 1}]": script ${check.script} is a directory. Set "script" to a file, and the directory in "files"`,
        );
      // A checkout on Windows loses the mode.
      return read.flatMap((group = [], at) =>
        group.map(file => ({ ...file, executable: file.executable || (at === 0 && check.script !== undefined) })),
      );
    }),
  );
  if (problems.length === 0) problems.push(...scriptTooLong(checks, found));
  if (problems.length > 0) throw new UsageError(problems);
  return found;
}

function scriptTooLong(checks: readonly Check[], deliveries: readonly (readonly Delivered[])[]): readonly string[] {
  const { length } = checksScript({ checks, deliveries, nonce: 'x'.repeat(16), withinSeconds: 99_999 });
  if (length <= MOST_SCRIPT_CHARACTERS) return [];
  return [
    `"checks" need a command of ${length} characters, and Run Command accepts about ${MOST_SCRIPT_CHARACTERS}. Install large suites in the image, or download them in the check`,
  ];
}

export async function readUserData(path: string | undefined, files: Files): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const [file] = (await files.read(path)) ?? [];
  if (file === undefined) throw new UsageError([`"user-data" names ${path}, which does not exist in the repository`]);
  // cloud-init does not unpack a part of a multipart message.
  if (file.content[0] === 0x1f && file.content[1] === 0x8b)
    throw new UsageError([`"user-data" names ${path}, which is compressed: it must be text, to which self-termination is added`]);
  const own = Buffer.from(file.content).toString('utf8');
  const problem = userDataProblem(own);
  if (problem !== undefined) throw new UsageError([problem]);
  return own;
}
