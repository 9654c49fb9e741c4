import { systemClock } from './adapters/clock.ts';
import { githubHost, runFacts } from './adapters/github.ts';
import { savedEntries, stateJournal } from './adapters/journal.ts';
import { runnerReporter } from './adapters/reporter.ts';
import { main } from './main.ts';

/** Builds the real world and hands it to main. The only file that knows the adapters. */

// The runner sends SIGINT, 7.5 s later SIGTERM, 2.5 s later it kills.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
const cancel = new AbortController();
process.on('SIGINT', () => cancel.abort());
process.on('SIGTERM', () => cancel.abort());

const clock = systemClock(cancel.signal);
const report = runnerReporter(clock);
const run = runFacts(cancel.signal);
const journal = stateJournal();

await main(githubHost, async common => {
  // Loaded late: bad settings are told before any AWS client is.
  const { awsPlaces } = await import('./adapters/aws/places.ts');
  const { packer } = await import('./adapters/packer/packer.ts');
  const at = awsPlaces({ ...common, clock, run, report });
  const { githubCommits } = await import('./adapters/commits.ts');
  const commits = githubCommits(process.env['GITHUB_API_URL']);
  return {
    world: { clock, report, run, journal, at, commits, packer: packer({ clock, report, run, journal }) },
    close: () => report.flush(),
  };
});
void savedEntries;
