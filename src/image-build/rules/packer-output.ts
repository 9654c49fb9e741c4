import { AMI_ID, REGION, whole } from '../../model/patterns.ts';

/** The output of Packer with `-machine-readable`: a line is `<unix seconds>,<target>,<type>,<argument>,...`. https://developer.hashicorp.com/packer/docs/commands#machine-readable-output */

export interface PackerLine {
  readonly seconds: number;
  /** The source, such as "amazon-ebs.web"; empty for Packer itself. */
  readonly target: string;
  readonly type: string;
  readonly values: readonly string[];
}

/** Undefined for any other line: a crash of Packer, a warning of the shell. */
export function parseLine(line: string): PackerLine | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes are control characters
  const [seconds = '', target = '', type, ...values] = line.replace(/\u001b\[[0-9;]*m/g, '').split(',');
  if (type === undefined || !/^\d{1,12}$/.test(seconds)) return undefined;
  return { seconds: Number(seconds), target, type, values: values.map(decode) };
}

// Packer does not escape the backslash itself, so a literal "\n" in a text reads as a line break: harmless in a log.
const decode = (value: string): string => value.replaceAll('%!(PACKER_COMMA)', ',').replaceAll('\\r', '\r').replaceAll('\\n', '\n');

/** The lines of a `ui` message; none for any other type. */
export function uiLines(line: PackerLine): readonly string[] {
  if (line.type !== 'ui') return [];
  return line.values
    .slice(1)
    .join(',')
    .split(/\r\n|\r|\n/)
    .filter(text => text.trim() !== '');
}

/** One image that Packer made. */
export interface Artifact {
  readonly source: string;
  readonly region: string;
  readonly id: string;
}

const AMIS = whole(`${REGION}:${AMI_ID}(?:,${REGION}:${AMI_ID})*`);
const BASE = whole(`Found Image ID: (${AMI_ID})`);
const CREATED = whole(`(?:Instance ID: (i-[0-9a-f]{8,17})|AMI: (${AMI_ID})|Created Spot Fleet launch template: (lt-[0-9a-f]{8,17}))`);
const VOLUMES = whole(`${REGION}:(?:vol|snap)-[0-9a-f]{8,17}(?:,${REGION}:(?:vol|snap)-[0-9a-f]{8,17})*`);

/** Packer hides the value of a sensitive variable wherever it occurs: "1" or "central" would make IDs and regions unreadable. */
export const corruptsOutput = (secret: string, regions: readonly string[]): boolean =>
  secret !== '' && (secret.length < 4 || regions.some(region => region.includes(secret)));

/** Post-processors repeat the ID of their input, or make files: an image counts once per source. */
export const artifacts = (lines: readonly PackerLine[]): readonly Artifact[] => artifactsLike(AMIS, lines);

/** Volumes and snapshots of sources that make no image (amazon-ebsvolume). */
export const createdVolumes = (lines: readonly PackerLine[]): readonly Artifact[] => artifactsLike(VOLUMES, lines);

function artifactsLike(pattern: RegExp, lines: readonly PackerLine[]): readonly Artifact[] {
  const found = lines
    .filter(({ type, values }) => type === 'artifact' && values[1] === 'id' && pattern.test(values[2] ?? ''))
    .flatMap(({ target, values }) =>
      (values[2] ?? '').split(',').map((pair): Artifact => {
        const [region = '', id = ''] = pair.split(':');
        return { source: target, region, id };
      }),
    );
  return [...new Map(found.map(artifact => [`${artifact.source} ${artifact.region} ${artifact.id}`, artifact])).values()];
}

/** Whether Packer has hidden the ID of an image, because it contains the value of a sensitive variable. */
export const isHidden = (lines: readonly PackerLine[]): boolean =>
  lines.some(({ type, values }) => type === 'artifact' && values[1] === 'id' && values[2]?.includes('<sensitive>'));

/** An error of Packer; the text is untrusted. */
export interface PackerError {
  readonly source: string;
  readonly message: string;
}

const isUiError = ({ type, values }: PackerLine): boolean => type === 'ui' && values[0] === 'error';

/** A source begins, or says something. */
export const isOfSource = (line: PackerLine): boolean => uiLines(line).some(text => /^==> [^:]+: /.test(text));

/** A source begins to create something. */
export const isCreation = (line: PackerLine): boolean => uiLines(line).some(text => /^==> [^:]+: (Creating|Launching) /.test(text));

/** What Packer reports of a template before any source begins; it then builds the sources that are valid. https://github.com/hashicorp/packer/blob/v1.16.0/command/build.go */
export const isTemplateError = (line: PackerLine): boolean => isUiError(line) && !isOfSource(line);

const endsSource = (line: PackerLine): boolean => uiLines(line).some(text => /^Build '.+' errored after /.test(text));

/** What Packer said of the template before any source began. It ends with 0 where it could build nothing for that. */
export function templateErrors(lines: readonly PackerLine[]): readonly PackerError[] {
  const begins = lines.findIndex(line => isOfSource(line) || endsSource(line));
  return uiErrors(begins === -1 ? lines : lines.slice(0, begins));
}

/** Packer prints every failure twice, once for machines; an error of the template only as a `ui` error, and it is the cause of all others. */
export function packerErrors(lines: readonly PackerLine[]): readonly PackerError[] {
  const ofTemplate = templateErrors(lines);
  const perSource = lines
    .filter(({ type }) => type === 'error')
    .map(({ target, values }) => ({ source: target, message: values.join(',').trim() }));
  return [ofTemplate, perSource].find(errors => errors.length > 0) ?? uiErrors(lines);
}

const uiErrors = (lines: readonly PackerLine[]): readonly PackerError[] =>
  lines
    .filter(isUiError)
    .map(line => ({ source: '', message: uiLines(line).join('\n').trim() }))
    .filter(({ message }) => message !== '');

/** Source and message of a line for people. The name of a source may contain spaces. */
export function parseSourceLine(text: string): { readonly source: string; readonly message: string } | undefined {
  const [, source, message] = /^(?:==> | {4})([^:]+): (.*)$/.exec(text) ?? [];
  return source === undefined || message === undefined ? undefined : { source, message };
}

/** The lines of one source, without its name. */
const sourceLines = (lines: readonly PackerLine[], source: string): readonly string[] =>
  lines
    .flatMap(uiLines)
    .flatMap(text => parseSourceLine(text) ?? [])
    .flatMap(by => (by.source === source ? [by.message] : []));

/** The base image of a source, where it prints one. */
export const baseOf = (lines: readonly PackerLine[], source: string): string | undefined =>
  sourceLines(lines, source)
    .map(message => BASE.exec(message)?.[1])
    .find(id => id !== undefined);

/** The instance, image and launch template that the line reports as created. */
export const createdIds = (line: PackerLine): readonly string[] =>
  uiLines(line)
    .flatMap(text => CREATED.exec(parseSourceLine(text)?.message ?? '')?.slice(1) ?? [])
    // A provisioner's output is a `message`.
    .filter(id => id !== undefined && (line.values[0] === 'say' || !id.startsWith('lt-')));

// What a source prints once it has failed.
const CLEANUP =
  /^(Provisioning step had errors|Terminating the source AWS instance|Cleaning up any extra volumes|Deleting temporary|Destroying|Deregistering)/;

/** The last lines of the provisioner that failed, without those of the clean-up. */
export function outputTail(lines: readonly PackerLine[], source: string, count = 15): readonly string[] {
  const all = sourceLines(lines, source);
  const end = all.findIndex(text => CLEANUP.test(text));
  const before = end === -1 ? all : all.slice(0, end);
  const start = before.findLastIndex(text => /^(Provisioning with|Executing) /.test(text));
  return before.slice(start + 1).slice(-count);
}
