import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { validate } from '@actions/languageservice';
import { expect, test } from '@jest/globals';
import { TextDocument } from 'vscode-languageserver-textdocument';

/** What the editor of GitHub underlines. https://github.com/actions/languageservices */

const root = join(import.meta.dirname, '..');
const filesIn = (folder: string) => readdirSync(join(root, folder)).map(file => `${folder}/${file}`);
const workflows = [...filesIn('.github/workflows'), ...filesIn('examples/workflows')];
const actions = readdirSync(root, { withFileTypes: true })
  .filter(entry => entry.isDirectory())
  .map(({ name }) => `${name}/action.yml`)
  .filter(path => readdirSync(join(root, path, '..')).includes('action.yml'));

async function findings(path: string, content = readFileSync(join(root, path), 'utf8')): Promise<readonly string[]> {
  // Examples are workflows of another repository.
  const address = path.replace('examples/workflows', '.github/workflows');
  const found = await validate(TextDocument.create(`file:///${address}`, 'yaml', 1, content));
  return found.map(({ range, message }) => `${path}:${range.start.line + 1} ${message}`);
}

test.each([...workflows, 'action.yml', ...actions])('%s', async path => {
  expect(await findings(path)).toEqual([]);
});

test('it sees a mistake', async () => {
  const mistake = 'on: push\njobs:\n  all:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo ${{ github.shaa }}\n';
  expect(await findings('.github/workflows/x.yml', mistake)).toEqual(['.github/workflows/x.yml:6 Context access might be invalid: shaa']);
});
