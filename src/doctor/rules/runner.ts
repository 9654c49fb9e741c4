import { formatDuration } from '../../kit/format.ts';
import type { Finding } from './findings.ts';

/** What the machine of a run has. */
export interface RunnerFacts {
  readonly node: string;
  readonly system: string;
  readonly git: string | undefined;
  readonly freeBytes: number;
  readonly skewMs: number;
}

const GIB = 1024 ** 3;
/** Packer and its plugins take 0.5 GiB, unpacked. */
const ENOUGH = 2 * GIB;

/** AWS refuses requests whose time differs by more than five minutes. https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html */
export function runnerFindings({ node, system, git, freeBytes, skewMs }: RunnerFacts): readonly Finding[] {
  const area = 'runner';
  const free = `${(freeBytes / GIB).toFixed(1)} GiB`;
  const warnings: readonly (Finding | false)[] = [
    git === undefined && {
      ...{ area, status: 'warning', says: 'git is not installed, so the changed files of the checkout cannot be found' },
      fix: 'Install git 2.18 or newer on the runner.',
    },
    freeBytes < ENOUGH && {
      ...{ area, status: 'warning', says: `only ${free} of disk are free` },
      fix: 'Free at least 2 GiB: Packer and its plugins are unpacked there.',
    },
    skewMs !== 0 && {
      ...{ area, status: 'warning', says: `its clock differs from that of AWS by ${formatDuration(Math.round(Math.abs(skewMs) / 1000))}` },
      fix: 'Synchronize the clock of the runner: AWS refuses requests and tokens of another time.',
    },
  ];
  const found = warnings.filter(finding => finding !== false);
  return found.length > 0 ? found : [{ area, status: 'ok', says: `Node ${node.replace('v', '')}, git ${git}, ${system}, ${free} free` }];
}
