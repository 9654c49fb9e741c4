import { AwsError } from '../operation.ts';

/** A document that runs a script. https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-command-ssm-plugin-reference.html */
export interface RunDocument {
  readonly name: string;
  readonly plugin: string;
  readonly script: string;
  /** The command of the agent; the script's path is its last argument. */
  readonly shell: readonly string[];
  readonly platforms: readonly string[];
}

const DOCUMENTS: readonly RunDocument[] = [
  {
    name: 'AWS-RunShellScript',
    plugin: 'aws:runShellScript',
    script: '_script.sh',
    shell: ['sh', '-c'],
    platforms: ['Linux', 'MacOS'],
  },
  {
    name: 'AWS-RunPowerShellScript',
    plugin: 'aws:runPowerShellScript',
    script: '_script.ps1',
    shell: ['pwsh', '-NonInteractive', '-NoProfile', '-File'],
    platforms: ['Windows', 'Linux', 'MacOS'],
  },
];

export function documentNamed(name: string): RunDocument {
  const document = DOCUMENTS.find(one => one.name === name.replace(/^arn:aws:ssm:[^:]*:[^:]*:document\//, ''));
  if (document === undefined) throw new AwsError('InvalidDocument', `document ${name} does not exist.`);
  return document;
}

const PARAMETERS = ['commands', 'workingDirectory', 'executionTimeout'];

export interface DocumentParameters {
  readonly executionSeconds: number;
}

/** Both documents take the same three. https://docs.aws.amazon.com/systems-manager/latest/userguide/run-command.html */
export function readParameters(document: RunDocument, given: Readonly<Record<string, readonly string[]>>): DocumentParameters {
  const unknown = Object.keys(given).filter(name => !PARAMETERS.includes(name));
  if (unknown.length > 0) throw refused(`Undefined parameters: [${unknown.join(', ')}] for document ${document.name}`);
  if ((given.commands ?? []).length === 0) throw refused(`Missing required parameters for document ${document.name}: [commands]`);
  // "The size limit of a document is 64 KB": parameters are inserted before the document is sent.
  if (Buffer.byteLength(JSON.stringify(given)) > 64 * 1024)
    throw new AwsError('MaxDocumentSizeExceeded', 'The size limit of a document is 64 KB.');
  const text = given.executionTimeout?.[0] ?? '3600';
  const seconds = /^[1-9]\d{0,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds <= 172_800)) throw refused(`Parameter "executionTimeout" has invalid value(s) [${text}].`);
  return { executionSeconds: seconds };
}

const refused = (message: string): AwsError => new AwsError('InvalidParameters', message);
