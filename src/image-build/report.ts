import { formatDollars, formatDuration } from '../kit/format.ts';
import { code, columns, details, table, text } from '../kit/markdown.ts';
import type { Reporter } from '../ports/deps.ts';
import type { BuiltImage } from './adopt.ts';
import { type PackerLine, parseSourceLine, uiLines } from './rules/packer-output.ts';

/** Dollars for a GiB and month of snapshots in most regions. https://aws.amazon.com/ebs/pricing/ */
const PER_GIB = 0.05;

/** `changes`: a link to the commits since the last image. */
export function reportImages(
  title: string,
  images: readonly BuiltImage[],
  reason: string,
  report: Pick<Reporter, 'summary'>,
  changes?: string,
): void {
  const differ = (of: (image: BuiltImage) => string) => new Set(images.map(of)).size > 1;
  const listed = columns(images, [
    ['Image', ({ id, region }) => `[${code(id)}](${imageUrl(region, id)})`],
    ['Region', ({ region }) => region],
    ['Architecture', ({ architecture }) => architecture],
    ['Source', ({ source }) => code(source), differ(({ source }) => source)],
    ['Name', ({ name }) => code(name), !images.every(({ name }) => title.endsWith(name))],
    ['Snapshots', ({ sizeGiB }) => `${sizeGiB} GiB, at most ${formatDollars(sizeGiB * PER_GIB)} a month`],
  ]);
  const parts = [`### ${text(title)}`, text(toSentence(reason)), formatChanges(changes), images.length === 0 ? '' : listed];
  report.summary(parts.filter(part => part !== '').join('\n\n'));
}

export const formatChanges = (changes: string | undefined): string => (changes === undefined ? '' : `**Changes:** ${changes}`);

const CONSOLES = [
  [/^cn-/, 'console.amazonaws.cn'],
  [/^us-gov-/, 'console.amazonaws-us-gov.com'],
] as const;

/** The page of an image in the console of its partition. */
const imageUrl = (region: string, id: string): string => {
  const host = CONSOLES.find(([partition]) => partition.test(region))?.[1] ?? 'console.aws.amazon.com';
  return `https://${region}.${host}/ec2/home?region=${region}#ImageDetails:imageId=${id}`;
};

/** A reason is a part of a sentence elsewhere. */
export const toSentence = (reason: string): string =>
  `${/^ami-/.test(reason) ? reason : reason.charAt(0).toUpperCase() + reason.slice(1)}.`;

/** Where Packer's time went, for a failed build too. */
export function reportPhases(lines: readonly PackerLine[], report: Pick<Reporter, 'summary'>): void {
  const phases = buildPhases(lines);
  const [longest] = [...phases].sort((a, b) => b.seconds - a.seconds);
  if (longest === undefined) return;
  const rows = phases.map(({ source, name, seconds }) => [code(source), name, formatDuration(seconds)]);
  const title = `Where Packer's time went: ${longest.name} took longest, ${formatDuration(longest.seconds)}`;
  report.summary(details(title, table(['Source', 'Phase', 'Took'], rows)));
}

export interface Phase {
  readonly source: string;
  readonly name: string;
  readonly seconds: number;
}

// In the order of the amazon plugin.
const STARTS: readonly (readonly [line: RegExp, name: string])[] = [
  [/^Prevalidating/, 'prepare'],
  [/^Launching a (source AWS|spot) instance/, 'launch'],
  [/^Waiting for (SSH|WinRM) to become available/, 'connect'],
  [/^(Provisioning with|Uploading|Executing) /, 'provision'],
  [/^Stopping the source instance/, 'stop'],
  [/^Creating AMI [^t]/, 'make the image'],
  [/^Copying\/Encrypting AMI/, 'copy'],
  [/^(Modifying attributes on|Adding tags to) AMI/, 'tag'],
  [/^Terminating the source AWS instance/, 'clean up'],
];

const BUILD_ENDED = /^Build '([^']+)' (?:finished|errored) after/;

/** The phases of each source, in seconds, read from Packer's output. */
export function buildPhases(lines: readonly PackerLine[]): readonly Phase[] {
  const marks: { source: string; name: string | undefined; at: number }[] = [];
  for (const line of [...lines].sort((a, b) => a.seconds - b.seconds)) {
    for (const text of uiLines(line)) {
      const ended = BUILD_ENDED.exec(text)?.[1];
      if (ended !== undefined) marks.push({ source: ended, name: undefined, at: line.seconds });
      const { source = '', message = '' } = parseSourceLine(text) ?? {};
      const name = STARTS.find(([pattern]) => pattern.test(message))?.[1];
      const last = marks.findLast(mark => mark.source === source)?.name;
      if (name !== undefined && name !== last) marks.push({ source, name, at: line.seconds });
    }
  }
  return marks.flatMap(({ source, name, at }, index) => {
    const next = marks.slice(index + 1).find(mark => mark.source === source);
    return name === undefined || next === undefined ? [] : [{ source, name, seconds: next.at - at }];
  });
}
