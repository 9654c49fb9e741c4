import { packerErrors, parseLine, uiLines } from '../../image-build/rules/packer-output.ts';
import type { PackerTemplate } from '../../ports/packer.ts';

/**
 * Parses `packer inspect -machine-readable`: `ui` text for HCL2, typed lines for JSON templates.
 * It needs neither plugins nor values.
 */
export function parseInspection(answer: string): Omit<PackerTemplate, 'isJson'> {
  const lines = answer.split('\n').flatMap(line => parseLine(line) ?? []);
  const text = lines.flatMap(uiLines);
  const fromJson = lines
    .filter(({ type }) => type === 'template-variable')
    .map(({ values: [name = '', value] }) => [name, kindOf(value ?? '')] as const);
  const fromHcl = text.flatMap(line => {
    const [, name, value] = /^var\.([A-Za-z_][\w-]*): "(.*)"$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, kindOf(value ?? '')] as const];
  });
  const builds = text.slice(text.indexOf('> builds:') + 1);
  return {
    variables: new Map([...fromJson, ...fromHcl]),
    // A JSON template does not report its post-processors.
    soleSource: builds.includes('      <no post-processor>') ? onlySource(builds) : undefined,
  };
}

/** Its first error: the others often have the same cause. */
export const firstError = (answer: string): string =>
  packerErrors(answer.split('\n').flatMap(line => parseLine(line) ?? []))
    .map(({ message }) => message.split(/\n(?=Error: )/)[0] ?? '')
    .join('\n') || 'it gives no reason';

const kindOf = (value: string) => (value === '<sensitive>' ? 'sensitive' : 'plain');

function onlySource(builds: readonly string[]): string | undefined {
  const named = builds.flatMap(line => /^ {2}> (.+):$/.exec(line)?.[1] ?? []);
  const sources = builds.slice(builds.indexOf('    sources:') + 1, builds.indexOf('    provisioners:'));
  if (named.length !== 1 || sources.length !== 1) return undefined;
  const source = sources[0]?.trim() ?? '';
  return named[0]?.startsWith('<unnamed') ? source : `${named[0]}.${source}`;
}
