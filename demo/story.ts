// The story that `npm run demo` tells: every job is the committed bundle, run as a runner would, against the lab.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLab } from '../lab/lab.ts';
import { setUp } from '../scripts/setup.ts';
import { cacheFolder } from '../src/adapters/cached-file.ts';
import { chapters } from './chapters.ts';
import { connect } from './fleet.ts';
import { page } from './page.ts';
import { makeRepository } from './repository.ts';
import { stage } from './stage.ts';

// The other end is held by demo/main.ts. When it goes, so do we, and with us everything in this process namespace.
process.stdin.on('end', () => process.exit(130)).resume();

const { environment: tools, missing } = await setUp({ only: ['packer'] });
for (const line of missing) console.error(line);
if (missing.length > 0) process.exit(1);

const out = join(cacheFolder({ ...process.env, RUNNER_TOOL_CACHE: undefined }), 'demo');
mkdirSync(out, { recursive: true });
const startedAt = Date.now();
const environment = { ...tools, TMPDIR: tmpdir(), PKR_VAR_ssh_port: '2322' };
// AWS gives a refresh that gets nowhere an hour before it gives up; here it is five minutes, so that one need not wait.
const lab = await startLab({ speed: 60, timings: { refreshPatience: 300 } });
const repository = makeRepository(join(mkdtempSync(join(tmpdir(), 'repository-')), 'web'));

let red = false;
try {
  const theatre = stage({ lab, cloud: connect(lab), repository, environment });
  for (const chapter of chapters) await theatre.play(chapter);
  red = theatre.wentWrong();
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  const figures = `${theatre.chapters().length} chapters, ${theatre.jobs()} jobs and ${lab.calls.count()} calls of the AWS API in ${seconds} seconds, on one machine and without an AWS account.`;
  const file = join(out, 'index.html');
  writeFileSync(file, await page(theatre.chapters(), figures));
  console.log(`\n${red ? 'The story did not go as it should.' : figures}\n\nThe summaries, as GitHub would show them:\n  file://${file}\n`);
} finally {
  await lab.close();
}
process.exit(red ? 1 : 0);
