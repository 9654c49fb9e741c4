import { AMI_ID, REGION, whole } from '../../model/patterns.ts';
/** What Packer says with `-machine-readable`: a line is `<unix seconds>,<target>,<type>,<argument>,...`. https://developer.hashicorp.com/packer/docs/commands#machine-readable-output */

export interface PackerLine {
  readonly seconds: number;
  /** The source that speaks, such as "amazon-ebs.web"; empty for Packer itself. */
  readonly target: string;
  readonly type: string;
  readonly values: readonly string[];
}

/** Undefined for a line that is no such thing: a crash of Packer, a warning of the shell. */
export function parseLine(line: string): PackerLine | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes are control characters
  const [seconds = '', target = '', type, ...values] = line.replace(/\u001b\[[0-9;]*m/g, '').split(',');
  if (type === undefined || !/^\d{1,12}$/.test(seconds)) return undefined;
  return { seconds: Number(seconds), target, type, values: values.map(decode) };
}

// Packer does not escape the backslash itself, so a literal "\n" in a text reads as a line break: harmless in a log.
const decode = (value: string): string => value.replaceAll('%!(PACKER_COMMA)', ',').replaceAll('\\r', '\r').replaceAll('\\n', '\n');

/** What a person reads: the lines of a `ui` message; nothing for the lines that are meant for machines. */
export function uiLines(line: PackerLine): readonly string[] {
  if (line.type !== 'ui') return [];
  return line.values
    .slice(1)
    .join(',')
    .split(/\r\n|\r|\n/)
    .filter(text => text.trim() !== '');
}

/** One image that Packer says it made. */
export interface Artifact {
  readonly source: string;
  readonly region: string;
  readonly id: string;
}

const AMIS = whole(`${REGION}:${AMI_ID}(?:,${REGION}:${AMI_ID})*`);
const BASE = whole(`Found Image ID: (${AMI_ID})`);
const CREATED = whole(`(?:Instance ID: (i-[0-9a-f]{8,17})|AMI: (${AMI_ID}))`);

/** Packer replaces the value of a sensitive variable wherever it stands: of "1" or "central" no ID and no region would be left to read. */
export const corruptsOutput = (secret: string, regions: readonly string[]): boolean =>
  secret !== '' && (secret.length < 4 || regions.some(region => region.includes(secret)));

/** Post-processors repeat the ID of the artifact that they were given, and others make files: an image counts once per source. */
export function artifacts(lines: readonly PackerLine[]): readonly Artifact[] {
  const found = lines
    .filter(({ type, values }) => type === 'artifact' && values[1] === 'id' && AMIS.test(values[2] ?? ''))
    .flatMap(({ target, values }) =>
      (values[2] ?? '').split(',').map((pair): Artifact => {
        const [region = '', id = ''] = pair.split(':');
        return { source: target, region, id };
      }),
    );
  return [...new Map(found.map(artifact => [`${artifact.source} ${artifact.region} ${artifact.id}`, artifact])).values()];
}

/** Whether Packer has hidden what it made: the value of a sensitive variable stood in it. */
export const isHidden = (lines: readonly PackerLine[]): boolean =>
  lines.some(({ type, values }) => type === 'artifact' && values[1] === 'id' && values[2]?.includes('<sensitive>'));

/** What went wrong, by source; the text is Packer's own and untrusted. */
export interface PackerError {
  readonly source: string;
  readonly message: string;
}

/** Packer prints every failure twice, once for machines; a template that does not parse only as a `ui` error. */
export function packerErrors(lines: readonly PackerLine[]): readonly PackerError[] {
  const perSource = lines
    .filter(({ type }) => type === 'error')
    .map(({ target, values }) => ({ source: target, message: values.join(',').trim() }));
  if (perSource.length > 0) return perSource;
  return lines
    .filter(({ type, values }) => type === 'ui' && values[0] === 'error')
    .map(line => ({ source: '', message: uiLines(line).join('\n').trim() }))
    .filter(({ message }) => message !== '');
}

/** Who says what, as people read it: a source begins with its name, which may hold spaces, and a provisioner cannot say that another does. */
export function parseSourceLine(text: string): { readonly source: string; readonly said: string } | undefined {
  const [, source, said] = /^(?:==> | {4})([^:]+): (.*)$/.exec(text) ?? [];
  return source === undefined || said === undefined ? undefined : { source, said };
}

/** What one source said, without its name before every line. */
const sourceLines = (lines: readonly PackerLine[], source: string): readonly string[] =>
  lines
    .flatMap(uiLines)
    .flatMap(text => parseSourceLine(text) ?? [])
    .flatMap(by => (by.source === source ? [by.said] : []));

/** What a source was built from, where it says so. */
export const baseOf = (lines: readonly PackerLine[], source: string): string | undefined =>
  sourceLines(lines, source)
    .map(said => BASE.exec(said)?.[1])
    .find(id => id !== undefined);

/** The instance and the image that Packer says it has just made. */
export const createdIds = (line: PackerLine): readonly string[] =>
  uiLines(line)
    .flatMap(text => CREATED.exec(parseSourceLine(text)?.said ?? '')?.slice(1) ?? [])
    .filter(id => id !== undefined);

/** The end of what the provisioner said that failed, before the clean-up has its say. */
export function outputTail(lines: readonly PackerLine[], source: string, count = 15): readonly string[] {
  const said = sourceLines(lines, source);
  const end = said.findIndex(text => text.startsWith('Provisioning step had errors'));
  const before = end === -1 ? said : said.slice(0, end);
  const start = before.findLastIndex(text => /^(Provisioning with|Executing) /.test(text));
  return before.slice(start + 1).slice(-count);
}
