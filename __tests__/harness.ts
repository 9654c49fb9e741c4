export { ADMINISTRATOR, type Order, type Ran, removeWorkspaces, runAction } from '../lab/runner.ts';
