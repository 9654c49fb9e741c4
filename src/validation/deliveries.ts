import { UsageError } from '../kit/errors.ts';
import type { Files } from '../ports/deps.ts';
import type { Check, Delivered } from './rules/checks.ts';
import { checksScript, MOST_SCRIPT_CHARACTERS } from './rules/checks-script.ts';
import { userDataProblem } from './rules/test-run.ts';

/** The files that checks name, by check. Whatever is missing or too large is told at once, before anything is launched. */
export async function readDeliveries(checks: readonly Check[], files: Files): Promise<readonly (readonly Delivered[])[]> {
  const problems: string[] = [];
  const found = await Promise.all(
    checks.map(async (check, index) => {
      const paths = [...(check.script === undefined ? [] : [check.script]), ...check.files];
      const read = await Promise.all(paths.map(path => files.read(path)));
      problems.push(
        ...paths
          .filter((_, at) => read[at] === undefined)
          .map(path => `"checks[${index + 1}]" names ${path}, which is not in the repository`),
      );
      if (check.script !== undefined && (read[0]?.length ?? 0) > 1)
        problems.push(
          `"checks[${index + 1}]" names the directory ${check.script} as its script; name the file, and the directory under "files"`,
        );
      // A checkout on Windows loses the mode; whoever says `script` wants it run.
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
    `"checks" make a command of ${length} characters, packed, and Run Command takes about ${MOST_SCRIPT_CHARACTERS}: bake large suites into the image, or let the check fetch them`,
  ];
}

export async function readUserData(path: string | undefined, files: Files): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const [file] = (await files.read(path)) ?? [];
  if (file === undefined) throw new UsageError([`"user-data" names ${path}, which is not in the repository`]);
  // As text it would be broken, and no part of a message in parts is unpacked for it.
  if (file.content[0] === 0x1f && file.content[1] === 0x8b)
    throw new UsageError([
      `"user-data" names ${path}, which is compressed: give it as text, it goes along with the timer that ends the machine`,
    ]);
  const own = Buffer.from(file.content).toString('utf8');
  const problem = userDataProblem(own);
  if (problem !== undefined) throw new UsageError([problem]);
  return own;
}
