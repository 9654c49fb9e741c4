import { packerErrors, parseLine, uiLines } from '../../image-build/rules/packer-output.ts';
import type { PackerTemplate } from '../../ports/packer.ts';

/**
 * The answer of `packer inspect -machine-readable`: text for people for HCL2, lines for machines for JSON templates.
 * It needs no plugins and no values, so it can be asked before anything is installed.
 */
export function parseInspection(answer: string): Omit<PackerTemplate, 'isJson'> {
  const lines = answer.split('\n').flatMap(line => parseLine(line) ?? []);
  const text = lines.flatMap(uiLines);
  const fromJson = lines
    .filter(({ type }) => type === 'template-variable')
    .map(({ values: [name = '', value] }) => [name, kindOf(value ?? '')] as const);
  const fromHcl = text.flatMap(said => {
    const [, name, value] = /^var\.([A-Za-z_][\w-]*): "(.*)"$/.exec(said) ?? [];
    return name === undefined ? [] : [[name, kindOf(value ?? '')] as const];
  });
  const builds = text.slice(text.indexOf('> builds:') + 1);
  const sole = onlySource(builds);
  return {
    variables: new Map([...fromJson, ...fromHcl]),
    isSingle: sole !== undefined,
    // Of a JSON template nothing is told of its post-processors.
    soleSource: builds.includes('      <no post-processor>') ? sole : undefined,
  };
}

/** The first of its complaints: those that follow are often of the same mistake. */
export const firstError = (answer: string): string =>
  packerErrors(answer.split('\n').flatMap(line => parseLine(line) ?? []))
    .map(({ message }) => message.split(/\n(?=Error: )/)[0] ?? '')
    .join('\n') || 'it does not say why';

const kindOf = (value: string) => (value === '<sensitive>' ? 'sensitive' : 'plain');

function onlySource(builds: readonly string[]): string | undefined {
  const named = builds.flatMap(said => /^ {2}> (.+):$/.exec(said)?.[1] ?? []);
  const sources = builds.slice(builds.indexOf('    sources:') + 1, builds.indexOf('    provisioners:'));
  if (named.length !== 1 || sources.length !== 1) return undefined;
  const source = sources[0]?.trim() ?? '';
  return named[0]?.startsWith('<unnamed') ? source : `${named[0]}.${source}`;
}
