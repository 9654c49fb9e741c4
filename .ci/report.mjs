// Reads jest's reports. `failed <report>`: the files with a red test. `<report> [<second>]`: the closing line, with the second
// report's word on the files that it ran again.
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const read = path =>
  path && existsSync(path) && readFileSync(path, 'utf8') !== '' ? JSON.parse(readFileSync(path, 'utf8')).testResults : [];
const isRed = ({ status, assertionResults }) => status === 'failed' || assertionResults.some(({ status: one }) => one === 'failed');

const [, , first, second] = process.argv;
if (first === 'failed') {
  console.log(
    read(second)
      .filter(isRed)
      .map(({ name }) => relative(process.cwd(), name))
      .join('\n'),
  );
} else {
  const again = new Map(read(second).map(file => [file.name, file]));
  const files = read(first).map(file => again.get(file.name) ?? file);
  for (const file of read(first))
    if (isRed(file) && !isRed(again.get(file.name) ?? file))
      console.log(`Red at first, green alone: ${relative(process.cwd(), file.name)}`);
  const count = status => files.flatMap(({ assertionResults }) => assertionResults).filter(one => one.status === status).length;
  // A file that could not even be loaded has no tests to count, and a test that was skipped has proven nothing.
  const broken = files.filter(file => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')).length;
  const failed = count('failed') + broken + count('pending') + (files.length === 0 ? 1 : 0);
  if (count('pending') > 0) console.log(`${count('pending')} tests were skipped, which is a failure here.`);
  console.log(`${count('passed')} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
