import type { Group } from '../../model/group.ts';

/** Groups that another service or tool manages: it reverts what is changed here, or breaks. */

// https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html and its counterparts for the other services.
const SERVICES: readonly (readonly [tag: string, service: string, instead: string])[] = [
  ['eks:nodegroup-name', 'EKS node group', 'name it in "node-groups" as cluster/nodegroup'],
  ['elasticbeanstalk:environment-name', 'Elastic Beanstalk environment', 'set the option ImageId of the environment'],
  ['AWSBatchServiceTag', 'AWS Batch compute environment', 'update the image of the compute environment'],
];

const STACK = 'aws:cloudformation:stack-name';

/** The CloudFormation stack of a group. */
export const stackOf = ({ tags }: Pick<Group, 'tags'>): string | undefined => tags[STACK];

/** `deletes`: the group. `pins`: it to another launch template version than its stack. */
interface Changes {
  readonly deletes: boolean;
  readonly pins: boolean;
}

/** Why the group must not be changed here, with what to use instead. */
export function ownerRefusals({ tags, operator }: Group, { deletes, pins }: Changes): readonly string[] {
  const stack = tags[STACK];
  return [
    ...SERVICES.flatMap(([tag, service, instead]) =>
      tags[tag] === undefined ? [] : [`it belongs to ${service} ${tags[tag]}, which reverts or breaks on changes: ${instead} instead`],
    ),
    ...(operator === undefined ? [] : [`${operator} manages it, and AWS refuses changes by others: change the image in that service`]),
    ...(pins && stack !== undefined
      ? [
          `it belongs to CloudFormation stack ${stack}, whose next update would put its own image back: set "stack: ${stack}" and "stack-parameter" (its parameter that holds the image) instead of naming the group`,
        ]
      : []),
    ...(deletes && !pins && stack !== undefined
      ? [`it belongs to CloudFormation stack ${stack}, which blue-green would delete it from: set "strategy: rolling"`]
      : []),
  ];
}

export function ownerWarnings({ tags }: Group): readonly string[] {
  const stack = tags[STACK];
  return [
    stack !== undefined &&
      `belongs to CloudFormation stack ${stack}: the next stack update puts its own launch template version back, unless the template reads the pointer`,
    Object.keys(tags).some(key => key.startsWith('k8s.io/cluster-autoscaler/')) &&
      'holds Kubernetes nodes: a rollout does not drain them. Drain them with a termination hook, for example by the AWS Node Termination Handler',
    tags['AmazonECSManaged'] !== undefined &&
      'belongs to an ECS capacity provider: tasks are drained only with managed draining, and "protected-instances" decides about instances with tasks',
  ].filter(warning => warning !== false);
}
