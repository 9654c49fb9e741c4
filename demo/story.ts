// The chapters of `npm run demo`: every job runs the committed bundle against the lab, as a runner would.
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

// demo/main.ts holds the other end. When it closes, this process ends, and with it the process namespace.
process.stdin.on('end', () => process.exit(130)).resume();

const { environment: tools, missing } = await setUp({ only: ['packer'] });
for (const line of missing) console.error(line);
if (missing.length > 0) process.exit(1);

const out = join(cacheFolder({ ...process.env, RUNNER_TOOL_CACHE: undefined }), 'demo');
mkdirSync(out, { recursive: true });
const startedAt = Date.now();
const environment = { ...tools, TMPDIR: tmpdir(), PKR_VAR_ssh_port: '2322' };
// AWS ends a refresh without progress after an hour. Five minutes here keep the demo short.
const lab = await startLab({ speed: 60, hostManagement: true, timings: { refreshPatience: 300 } });
const repository = makeRepository(join(mkdtempSync(join(tmpdir(), 'repository-')), 'web'));

let red = false;
try {
  const played = stage({ lab, cloud: connect(lab), repository, environment });
  for (const chapter of chapters) await played.play(chapter);
  red = played.failed();
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  const figures = `${played.chapters().length} chapters, ${played.jobs()} jobs and ${lab.calls.count()} calls of the AWS API in ${seconds} seconds, on one machine and without an AWS account.`;
  const file = join(out, 'index.html');
  writeFileSync(file, await page(played.chapters(), figures));
  console.log(
    `\n${red ? 'The demo failed: a job or an instance did not end as expected.' : figures}\n\nThe job summaries, as GitHub shows them:\n  file://${file}\n`,
  );
} finally {
  await lab.close();
}
process.exit(red ? 1 : 0);
