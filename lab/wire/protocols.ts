import { AwsError, type Protocol } from '../operation.ts';
import { readJson, writeJson } from './json.ts';
import { readQuery } from './query.ts';
import { readRestXml } from './rest-xml.ts';
import type { Shapes } from './schemas.ts';
import { element, escaped, writeMembers } from './xml.ts';

/** A request before it is parsed. */
export interface WireQuery {
  readonly operation: string;
  readonly namespace: string;
  readonly body: string;
  readonly requestId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export interface Codec {
  input(shapes: Shapes, wireQuery: WireQuery): object;
  output(shapes: Shapes, output: object, wireQuery: WireQuery): Answer;
  error(error: AwsError, wireQuery: WireQuery): Answer;
}

const xml = (body: string, status = 200): Answer => ({
  status,
  type: 'text/xml;charset=UTF-8',
  body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}`,
});

const ec2: Codec = {
  input: ({ input }, { body }) => readQuery(input, new URLSearchParams(body), 'ec2'),
  output: ({ output: schema }, output, { operation, namespace, requestId }) => {
    const members = schema.isStructSchema() ? writeMembers(schema, output) : element('return', 'true');
    return xml(`<${operation}Response xmlns="${namespace}">${element('requestId', requestId)}${members}</${operation}Response>`);
  },
  error: ({ code, message, status }, { requestId }) =>
    xml(element('Response', element('Errors', element('Error', codeAndMessage(code, message))) + element('RequestID', requestId)), status),
};

const query: Codec = {
  input: ({ input }, { body }) => readQuery(input, new URLSearchParams(body), 'query'),
  output: ({ output: schema }, output, { operation, namespace, requestId }) => {
    const result = schema.isStructSchema() ? element(`${operation}Result`, writeMembers(schema, output)) : '';
    const metadata = element('ResponseMetadata', element('RequestId', requestId));
    return xml(`<${operation}Response xmlns="${namespace}">${result}${metadata}</${operation}Response>`);
  },
  error: ({ code, message, status }, { namespace, requestId }) => {
    const error = element('Error', element('Type', status < 500 ? 'Sender' : 'Receiver') + codeAndMessage(code, message));
    return xml(`<ErrorResponse xmlns="${namespace}">${error}${element('RequestId', requestId)}</ErrorResponse>`, status);
  },
};

const json: Codec = {
  input: ({ input }, { body }) => (readJson(input, parse(body)) ?? {}) as object,
  output: ({ output: schema }, output) => ({
    status: 200,
    type: 'application/x-amz-json-1.1',
    body: JSON.stringify(writeJson(schema, output) ?? {}),
  }),
  // Some shapes of SSM use `Message`, others `message`.
  error: ({ code, message, status }) => ({
    status,
    type: 'application/x-amz-json-1.1',
    body: JSON.stringify({ __type: code, message, Message: message }),
  }),
};

const rest: Codec = {
  input: (shapes, wireQuery) => readRestXml(shapes, wireQuery),
  output: ({ output: schema }, output, { operation, namespace }) =>
    xml(`<${operation}Response xmlns="${namespace}">${writeMembers(schema, output)}</${operation}Response>`),
  error: query.error,
};

export const CODECS: Readonly<Record<Protocol, Codec>> = { ec2, query, json, rest };

const codeAndMessage = (code: string, message: string): string => element('Code', escaped(code)) + element('Message', escaped(message));

function parse(body: string): unknown {
  try {
    return JSON.parse(body === '' ? '{}' : body);
  } catch {
    throw new AwsError('SerializationException', 'The request body is no JSON.');
  }
}
