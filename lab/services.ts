import * as autoScaling from '@aws-sdk/client-auto-scaling';
import * as cloudFormation from '@aws-sdk/client-cloudformation';
import * as cloudTrail from '@aws-sdk/client-cloudtrail';
import * as cloudWatch from '@aws-sdk/client-cloudwatch';
import * as ec2 from '@aws-sdk/client-ec2';
import * as eks from '@aws-sdk/client-eks';
import * as classic from '@aws-sdk/client-elastic-load-balancing';
import * as elb from '@aws-sdk/client-elastic-load-balancing-v2';
import * as iam from '@aws-sdk/client-iam';
import * as kms from '@aws-sdk/client-kms';
import * as route53 from '@aws-sdk/client-route-53';
import * as ssm from '@aws-sdk/client-ssm';
import * as sts from '@aws-sdk/client-sts';
import { autoScalingOperations } from './autoscaling/operations.ts';
import { stackOperations } from './cloudformation/stacks.ts';
import { eventOperations } from './cloudtrail/events.ts';
import { alarmOperations } from './cloudwatch/alarms.ts';
import { launchTemplateOperations } from './ec2/launch-templates.ts';
import { ec2Operations } from './ec2/operations.ts';
import { nodeGroupOperations } from './eks/node-groups.ts';
import { classicOperations } from './elb/classic.ts';
import { listenerOperations } from './elb/listeners.ts';
import { loadBalancerOperations } from './elb/load-balancers.ts';
import { balancingTagOperations } from './elb/tags.ts';
import { targetGroupOperations } from './elb/target-groups.ts';
import { iamOperations } from './iam/operations.ts';
import { simulationOperations } from './iam/simulation.ts';
import { keyOperations } from './kms/keys.ts';
import type { Operations, Protocol } from './operation.ts';
import { recordOperations } from './route53/records.ts';
import { commandOperations } from './ssm/commands.ts';
import { parameterOperations } from './ssm/parameters.ts';
import { stsOperations } from './sts.ts';

export interface Service {
  readonly protocol: Protocol;
  /** Namespace of the official client: `xmlns` of XML answers, and the part of X-Amz-Target before the dot for JSON. */
  readonly namespace: string;
  /** Exports of the SDK client. Its `<Operation>$` are the schemas of all AWS operations of the service. */
  readonly schemas: object;
  /** Method and path name the operation; the body is JSON. https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html */
  readonly isRest?: boolean;
  /** The operations that the lab implements. Several folders may add to one service. */
  readonly operations: Operations;
}

/** By service name, as in the credential scope of a signature. A folder adds its table by one import and one spread. */
export const SERVICES: Readonly<Record<string, Service>> = {
  ec2: {
    protocol: 'ec2',
    namespace: 'http://ec2.amazonaws.com/doc/2016-11-15/',
    schemas: ec2,
    operations: { ...ec2Operations, ...launchTemplateOperations },
  },
  autoscaling: {
    protocol: 'query',
    namespace: 'http://autoscaling.amazonaws.com/doc/2011-01-01/',
    schemas: autoScaling,
    operations: autoScalingOperations,
  },
  elasticloadbalancing: {
    protocol: 'query',
    namespace: 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/',
    schemas: elb,
    operations: {
      ...loadBalancerOperations,
      ...listenerOperations,
      ...targetGroupOperations,
      ...balancingTagOperations,
    },
  },
  /** Has the same service name, and its own version: see `toWireRequest`. */
  classicbalancing: {
    protocol: 'query',
    namespace: 'http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/',
    schemas: classic,
    operations: classicOperations,
  },
  cloudformation: {
    protocol: 'query',
    namespace: 'http://cloudformation.amazonaws.com/doc/2010-05-15/',
    schemas: cloudFormation,
    operations: stackOperations,
  },
  cloudtrail: {
    protocol: 'json',
    namespace: 'CloudTrail_20131101',
    schemas: cloudTrail,
    operations: eventOperations,
  },
  eks: {
    protocol: 'json',
    namespace: 'eks',
    isRest: true,
    schemas: eks,
    operations: nodeGroupOperations,
  },
  monitoring: {
    protocol: 'json',
    namespace: 'GraniteServiceVersion20100801',
    schemas: cloudWatch,
    operations: alarmOperations,
  },
  iam: {
    protocol: 'query',
    namespace: 'https://iam.amazonaws.com/doc/2010-05-08/',
    schemas: iam,
    operations: { ...iamOperations, ...simulationOperations },
  },
  kms: {
    protocol: 'json',
    namespace: 'TrentService',
    schemas: kms,
    operations: keyOperations,
  },
  route53: {
    protocol: 'rest',
    namespace: 'https://route53.amazonaws.com/doc/2013-04-01/',
    schemas: route53,
    operations: recordOperations,
  },
  ssm: {
    protocol: 'json',
    namespace: 'AmazonSSM',
    schemas: ssm,
    operations: { ...parameterOperations, ...commandOperations },
  },
  sts: {
    protocol: 'query',
    namespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
    schemas: sts,
    operations: stsOperations,
  },
};
