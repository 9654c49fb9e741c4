import type { ChangeSet, Stack, StackOperation, StackParameter } from '../model/stack.ts';

/** CloudFormation stacks. */
export interface Stacks {
  /** By name or ID. */
  find(name: string): Promise<Stack | undefined>;
  /** The template of its last operation, after macros. */
  template(id: string): Promise<string>;
  operation(id: string): Promise<StackOperation>;
  /** One other parameter value; a parameter with a key is read again. All other parameters keep their value. `template`: instead of the present one. */
  createChangeSet(order: {
    readonly stack: Stack;
    readonly name: string;
    readonly parameter: StackParameter;
    readonly template?: string | undefined;
  }): Promise<'created' | 'exists'>;
  changeSet(id: string, name: string): Promise<ChangeSet>;
  /** One that does not exist is removed already. */
  removeChangeSet(id: string, name: string): Promise<void>;
  /** CloudFormation rolls the stack back when the update fails. The same token starts one update only. */
  execute(id: string, name: string, token: string): Promise<void>;
  /** Rolls the update in progress back. `over`: it has ended, or is past the point where it can be. */
  cancel(id: string): Promise<'requested' | 'over'>;
}
