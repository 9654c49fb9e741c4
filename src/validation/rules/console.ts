/** What a machine's console says about why it does not come up. Untrusted text: it is looked at, and at most a short name is taken from it. */

// What an operating system writes when it has given up.
const DEAD: readonly (readonly [pattern: RegExp, cause: string])[] = [
  [/Kernel panic/i, 'the kernel panicked'],
  [/VFS: Unable to mount root|unable to mount root fs/i, 'the kernel does not find its root file system'],
  [/You are in (emergency|rescue) mode|Entering emergency mode/i, 'it boots into emergency mode, often because of /etc/fstab'],
];

const SIGNS: readonly (readonly [pattern: RegExp, cause: string])[] = [
  ...DEAD,
  [/Timed out waiting for device/i, 'it waits for a device that is not there, often because of /etc/fstab'],
  [/No space left on device/i, 'its disk is full'],
  [/Out of memory|oom-kill/i, 'it runs out of memory: take a larger instance type'],
  [/amazon-ssm-agent.*(not found|could not be found|failed)/i, 'the SSM agent is missing or fails'],
  [
    /(ssm|ec2messages|ssmmessages)\.[\w.-]*amazonaws.*(timeout|timed out|refused|no such host)/i,
    'the SSM endpoints cannot be reached from it',
  ],
  [/cloud-init.*(Failed|ERROR|Traceback)/i, 'cloud-init failed'],
];

/** Whatever network and permissions are like: this image does not boot. */
export const isDead = (console: string): boolean => DEAD.some(([pattern]) => pattern.test(console));

/** What its own console says is wrong, most telling first. */
export const consoleCauses = (console: string): readonly string[] => {
  const waits = waitsFor(console);
  return [
    ...(waits === undefined ? [] : [`its boot hangs at ${waits}`]),
    ...SIGNS.filter(([pattern]) => pattern.test(console)).map(([, cause]) => cause),
  ].map(cause => `${cause} (its console says so)`);
};

// systemd's status line, as soon as something takes long. https://github.com/systemd/systemd/blob/main/src/core/manager.c (manager_print_jobs_in_progress)
const WAITING = /A start job is running for ([\w@.:/ -]{1,80}?) \(\d[^()/\n]* \/ /g;

/** The unit that the boot was still waiting for when the console was read. */
function waitsFor(console: string): string | undefined {
  const last = [...console.matchAll(WAITING)].at(-1);
  const name = last?.[1];
  if (name === undefined) return undefined;
  const after = console.slice(last?.index);
  return after.includes(`Finished ${name}`) || after.includes(`Started ${name}`) ? undefined : name;
}

/** The end of a console, for people. */
export const consoleTail = (console: string, lines: number): string =>
  console.replace(/\r/g, '').trimEnd().split('\n').slice(-lines).join('\n');
