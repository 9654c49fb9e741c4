/** The environment of Packer and its plugins: without what the runner gives to the action alone. */

// These authenticate to GitHub as this job, or are the files through which it speaks to the runner: a shell-local provisioner gets none. A template is
// trusted all the same: it runs as the user of this process.
const OURS_ALONE =
  /^(INPUT_|STATE_|ACTIONS_RUNTIME_|ACTIONS_ID_TOKEN_|ACTIONS_CACHE_|ACTIONS_RESULTS_|GITHUB_(ENV|PATH|OUTPUT|STATE|STEP_SUMMARY)$)/;

export function packerEnvironment(own: NodeJS.ProcessEnv): Record<string, string> {
  const passed = Object.entries(own).filter((pair): pair is [string, string] => pair[1] !== undefined && isForPacker(pair[0], pair[1]));
  return { ...Object.fromEntries(passed), CHECKPOINT_DISABLE: '1', PACKER_NO_COLOR: '1' };
}

/**
 * For short commands: a third of their time. Packer starts a second process that records crashes, unless the cookie is set.
 * https://github.com/hashicorp/packer/blob/v1.16.0/main.go. Garbage collection does not pay in 40 ms. https://pkg.go.dev/runtime#hdr-Environment_Variables
 */
export const BRIEFLY = { PACKER_WRAP_COOKIE: '49C22B1A-3A93-4C98-97FA-E07D18C787B5', GOGC: 'off' } as const;

const isForPacker = (name: string, value: string): boolean =>
  !OURS_ALONE.test(name) && (name !== 'AWS_MAX_ATTEMPTS' || /^\d+$/.test(value));

/**
 * AWS_MAX_ATTEMPTS means two things: how often an SDK retries a call, and how often Packer polls a pending image, every 2 seconds
 * unless AWS_POLL_DELAY_SECONDS is set. A value that is right for the first makes every build time out.
 * https://developer.hashicorp.com/packer/integrations/hashicorp/amazon/latest/components/builder/ebs#resource-not-ready-error
 */
export function pollingWarning({ AWS_MAX_ATTEMPTS: attempts, AWS_POLL_DELAY_SECONDS: delay }: NodeJS.ProcessEnv): string | undefined {
  if (attempts === undefined || attempts === '') return undefined;
  if (!/^\d+$/.test(attempts)) return `AWS_MAX_ATTEMPTS is ${JSON.stringify(attempts)}, which is not a number: it is not passed to Packer.`;
  if (delay !== undefined && delay !== '') return undefined;
  const seconds = Number(attempts) * 2;
  return `AWS_MAX_ATTEMPTS=${attempts} makes Packer wait at most ${seconds} s for an image (it polls every 2 s). Also set AWS_POLL_DELAY_SECONDS, or aws_polling in the template.`;
}
