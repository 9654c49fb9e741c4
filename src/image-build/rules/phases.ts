import { type PackerLine, parseSourceLine, uiLines } from './packer-output.ts';

/** Where the time of a build went, as Packer's own lines tell it, to the second. */
export interface Phase {
  readonly source: string;
  readonly name: string;
  readonly seconds: number;
}

// In the order in which the amazon plugin goes through them.
const BEGINS: readonly (readonly [says: RegExp, name: string])[] = [
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

const ENDED = /^Build '([^']+)' (?:finished|errored) after/;

export function buildPhases(lines: readonly PackerLine[]): readonly Phase[] {
  const marks: { source: string; name: string | undefined; at: number }[] = [];
  for (const line of [...lines].sort((a, b) => a.seconds - b.seconds)) {
    for (const text of uiLines(line)) {
      const ended = ENDED.exec(text)?.[1];
      if (ended !== undefined) marks.push({ source: ended, name: undefined, at: line.seconds });
      const { source = '', said = '' } = parseSourceLine(text) ?? {};
      const name = BEGINS.find(([says]) => says.test(said))?.[1];
      const last = marks.findLast(mark => mark.source === source)?.name;
      if (name !== undefined && name !== last) marks.push({ source, name, at: line.seconds });
    }
  }
  return marks.flatMap(({ source, name, at }, index) => {
    const next = marks.slice(index + 1).find(mark => mark.source === source);
    return name === undefined || next === undefined ? [] : [{ source, name, seconds: next.at - at }];
  });
}
