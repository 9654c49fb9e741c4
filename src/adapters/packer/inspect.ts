import { humanLines, parseLine } from '../../domain/build/packer-output.ts';

/**
 * The variables in the answer of `packer inspect -machine-readable`: a line of text each for HCL2, lines for machines for JSON templates.
 * It needs no plugins and no values, so it can be asked before anything is installed.
 */
export function declaredVariables(answer: string): ReadonlyMap<string, 'plain' | 'sensitive'> {
  const lines = answer.split('\n').flatMap(line => parseLine(line) ?? []);
  const fromJson = lines
    .filter(({ type }) => type === 'template-variable')
    .map(({ values: [name = '', value] }) => [name, kindOf(value ?? '')] as const);
  const fromHcl = lines.flatMap(humanLines).flatMap(text => {
    const [, name, value] = /^var\.([A-Za-z_][\w-]*): "(.*)"$/.exec(text) ?? [];
    return name === undefined ? [] : [[name, kindOf(value ?? '')] as const];
  });
  return new Map([...fromJson, ...fromHcl]);
}

const kindOf = (value: string) => (value === '<sensitive>' ? 'sensitive' : 'plain');
