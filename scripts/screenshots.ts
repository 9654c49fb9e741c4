// Pictures of job summaries for README and docs, from the page of the last `npm run demo`. Needs a Chromium on PATH.
//   npm run screenshots
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { htmlPage } from '../demo/page.ts';
import { cacheFolder } from '../src/adapters/cached-file.ts';

/** The file in docs/images, the job of the demo by chapter and name, and a width for wide tables. */
const PICTURES = [
  ['build', 'A good commit reaches stage', 'Build'],
  ['validate', 'A good commit reaches stage', 'Validate'],
  ['validate-failed', 'A broken commit fails', 'Validate'],
  ['promote', 'The next good commit', 'Promote to prod'],
  ['promote-failed', 'A commit that passes validation', 'Promote to stage'],
  ['rollback', 'Rollback on demand', 'Roll prod back'],
  ['prune-plan', 'Prune removes', 'Plan'],
  ['list', 'Prune removes', 'List', 1320],
] as const;

const WIDTH = 1000;
const demo = readFileSync(join(cacheFolder({ ...process.env, RUNNER_TOOL_CACHE: undefined }), 'demo', 'index.html'), 'utf8');
const images = join(import.meta.dirname, '..', 'docs', 'images');
mkdirSync(images, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'screenshots-'));
try {
  for (const [file, chapter, job, width = WIDTH] of PICTURES) picture(join(images, `${file}.png`), sectionOf(chapter, job), width);
} finally {
  rmSync(folder, { recursive: true });
}

function sectionOf(chapter: string, job: string): string {
  const [, index] = new RegExp(`<h2 id="c(\\d+)">\\d+\\. ${chapter}`).exec(demo) ?? [];
  const section = new RegExp(`<section class="job" id="c${index}-j\\d+"><header><span[^>]*>.</span>${job}<[\\s\\S]*?</section>`).exec(
    demo,
  )?.[0];
  if (section === undefined) throw new Error(`The demo's page has no job "${job}" in a chapter "${chapter}".`);
  return section;
}

/** Twice: the first run measures the height, for a picture without empty space. */
function picture(file: string, section: string, width: number): void {
  const html = join(folder, 'page.html');
  const measure = '<script>document.title = `height ${document.querySelector("main").offsetHeight}`</script>';
  writeFileSync(
    html,
    htmlPage(
      `<style>main { max-width: none; padding: 8px 16px }</style>${section}${measure}`,
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
    ),
  );
  const [, height = '800'] = /height (\d+)/.exec(chromium('--dump-dom', html, width)) ?? [];
  chromium(`--screenshot=${file}`, html, width, Number(height));
  console.log(file);
}

function chromium(action: string, html: string, width: number, height = 800): string {
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', `--window-size=${width},${height}`];
  return execFileSync(process.env['CHROMIUM'] ?? 'chromium', [...flags, action, `file://${html}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}
