// Reads jest's reports. `failed <report>` prints the files with a failed test. `<report> <second> [<further>...]` prints the closing line; for
// files in the second report, its result counts.
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const read = path =>
  path && existsSync(path) && readFileSync(path, 'utf8') !== '' ? JSON.parse(readFileSync(path, 'utf8')).testResults : [];
const isRed = ({ status, assertionResults }) => status === 'failed' || assertionResults.some(({ status: one }) => one === 'failed');

const [, , first, second, ...further] = process.argv;
if (first === 'failed') {
  console.log(
    read(second)
      .filter(isRed)
      .map(({ name }) => relative(process.cwd(), name))
      .join('\n'),
  );
} else {
  const again = new Map(read(second).map(file => [file.name, file]));
  const files = [...read(first).map(file => again.get(file.name) ?? file), ...further.flatMap(read)];
  for (const file of read(first))
    if (isRed(file) && !isRed(again.get(file.name) ?? file))
      console.log(`Failed in the full run, passed alone: ${relative(process.cwd(), file.name)}`);
  const count = status => files.flatMap(({ assertionResults }) => assertionResults).filter(one => one.status === status).length;
  // A file that does not load has no tests to count. A skipped test counts as failed.
  const broken = files.filter(file => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')).length;
  const failed = count('failed') + broken + count('pending') + (files.length === 0 ? 1 : 0);
  if (count('pending') > 0) console.log(`${count('pending')} skipped tests count as failed.`);
  console.log(`${count('passed')} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
