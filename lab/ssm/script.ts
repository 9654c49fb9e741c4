import type { Guest } from '../machines/hypervisor.ts';
import type { Invocation, LabCommand } from './command-state.ts';
import type { RunDocument } from './documents.ts';

/** The script file of the agent: the commands, one per line. */
export const scriptFor = ({ input }: LabCommand): string => `${(input.Parameters?.commands ?? []).join('\n')}\n`;

/**
 * As the agent does it: the script is a file, started by `sh -c <file>`, so that its first line may name another interpreter. Its directory is
 * /usr/bin by default. HOME is not set, as in a systemd service that runs as root.
 * https://github.com/aws/amazon-ssm-agent (runscript.go, executers.go)
 */
const START = `
dir="$1"; file="$1/$2"; where="$3"; shift 3
mkdir -p "$dir" && cat > "$file" && chmod 700 "$file" || exit 1
cd "$where" 2>/dev/null || cd /usr/bin || cd /
unset HOME USER LOGNAME
exec "$@" "$file" </dev/null
`;

const ORCHESTRATION = '/var/lib/amazon/ssm';

export function startLine({ id, document, input, place }: LabCommand, { instanceId }: Invocation): readonly string[] {
  const folder = document.plugin.replace(':', '');
  const directory = `${ORCHESTRATION}/${instanceId}/document/orchestration/${id}/${folder}/0.${folder}`;
  const asked = input.Parameters?.workingDirectory?.[0] ?? '';
  const where = asked.startsWith('/') ? asked : '/usr/bin';
  const variables = [`AWS_SSM_INSTANCE_ID=${instanceId}`, `AWS_SSM_REGION_NAME=${place.region}`, `SSM_COMMAND_ID=${id}`];
  return ['env', ...variables, 'sh', '-c', START, 'sh', directory, document.script, where, ...document.shell];
}

/** Whether the guest has the programs that the document starts. */
export async function canRun(guest: Guest, { shell }: RunDocument): Promise<boolean> {
  const [program = 'sh'] = shell;
  return program === 'sh' || (await guest.exec(['sh', '-c', `command -v ${program}`])).exitCode === 0;
}
