import type { CallRecord } from './calls.ts';
import { type Lab, startLab } from './lab.ts';

/** `npm run lab`: starts the lab, prints the environment to export, then every call. Removes everything at the end. Options: --port N, --speed N, --machines sandbox|paper|vm, --host-management. */

const ENV_OF_SHELL = /[^\w@%+=:,./-]/;

function greet(lab: Lab): void {
  const lines = Object.entries(lab.environment()).map(
    ([name, value]) => `export ${name}=${ENV_OF_SHELL.test(value) ? `'${value}'` : value}`,
  );
  console.log(
    `The lab listens on ${lab.url}. One real second is ${lab.clock.speed} lab seconds. In another shell:\n\n${lines.join('\n')}\n`,
  );
  console.log('Another account: AWS_ACCESS_KEY_ID=AKIALAB0<12 digits>. Ctrl-C stops the lab.\n');
}

function show({ at, account, region, service, operation, outcome }: CallRecord): void {
  const time = new Date(at).toISOString().slice(11, 19);
  console.log(`${time}  ${account}  ${region.padEnd(14)}  ${`${service}:${operation}`.padEnd(48)}  ${outcome}`);
}

function option(name: string): string | undefined {
  const place = process.argv.indexOf(`--${name}`);
  return place < 0 ? undefined : process.argv[place + 1];
}

function asNumber(name: string): number | undefined {
  const text = option(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  console.error(`--${name} must be a number, got "${text}".`);
  return process.exit(2);
}

const port = asNumber('port');
const speed = asNumber('speed');
const machines = (['paper', 'vm'] as const).find(kind => kind === option('machines')) ?? 'sandbox';
const hostManagement = process.argv.includes('--host-management');
const options = { machines, hostManagement, ...(port === undefined ? {} : { port }), ...(speed === undefined ? {} : { speed }) } as const;
const lab = await startLab(options).catch((cause: unknown) => {
  console.error(cause instanceof Error ? cause.message : cause);
  return process.exit(1);
});
greet(lab);
lab.calls.onCall(show);

let ending = false;
const end = () => {
  // A second Ctrl-C exits at once.
  if (ending) process.exit(1);
  ending = true;
  lab.close().then(
    () => process.exit(0),
    (cause: unknown) => {
      console.error(cause);
      process.exit(1);
    },
  );
};
process.on('SIGINT', end);
process.on('SIGTERM', end);
