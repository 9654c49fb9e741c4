import { NormalizedSchema } from '@smithy/core/schema';

/** Input and output of one operation, as the official SDK describes them. The lab uses these schemas in reverse. */
export interface Shapes {
  readonly input: NormalizedSchema;
  readonly output: NormalizedSchema;
}

type Ref = Parameters<typeof NormalizedSchema.of>[0];

/** Of an SDK client's exports, `RunInstances$` is `[9, namespace, name, traits, input, output]`. Undefined: AWS has no such operation. */
export function shapesOf(schemas: object, operation: string): Shapes | undefined {
  const schema = (schemas as Readonly<Record<string, unknown>>)[`${operation}$`];
  if (!Array.isArray(schema) || schema[0] !== 9) return undefined;
  return { input: NormalizedSchema.of(schema[4] as Ref), output: NormalizedSchema.of(schema[5] as Ref) };
}

/** The traits that matter on the wire. https://smithy.io/2.0/spec/protocol-traits.html */
export interface Names {
  readonly xmlName?: string;
  readonly ec2QueryName?: string;
  readonly xmlFlattened?: unknown;
}

export const namesOf = (schema: NormalizedSchema): Names => schema.getMergedTraits() as Names;
