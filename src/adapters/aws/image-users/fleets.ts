import {
  DescribeFleetsCommand,
  DescribeSpotFleetRequestsCommand,
  DescribeSpotInstanceRequestsCommand,
  type EC2Client,
  type FleetLaunchTemplateSpecification,
} from '@aws-sdk/client-ec2';
import type { Launcher, LaunchSource } from '../../../model/image-users.ts';
import { always } from '../complete.ts';
import { asExpected } from '../errors.ts';
import { allPages, listed } from '../pages.ts';
import { ofTemplate, snapshotsIn } from './launch-sources.ts';

/** What launches without a group: EC2 fleets, Spot fleets and persistent Spot requests. Fleets of type `instant` launch only once. */
export const fleetLaunchers = async (ec2: EC2Client): Promise<Launcher[]> =>
  (await Promise.all([fleets(ec2), spotFleets(ec2), spotRequests(ec2)])).flat();

/** States of fleets, Spot fleets and Spot requests that launch nothing any more. */
const OVER = new Set(['deleted', 'failed', 'deleted_terminating', 'cancelled', 'cancelled_terminating', 'closed']);

const fleets = (ec2: EC2Client): Promise<Launcher[]> =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new DescribeFleetsCommand({ MaxResults: 200, NextToken }))
      .catch(asExpected('describe fleets (ec2:DescribeFleets)'));
    const live = listed(page.Fleets).filter(({ FleetState = '' }) => !OVER.has(FleetState));
    return {
      items: live.map(({ FleetId, LaunchTemplateConfigs }) => ({
        user: `fleet ${FleetId}`,
        launches: always(LaunchTemplateConfigs, `LaunchTemplateConfigs of fleet ${FleetId}`).flatMap(ofConfig),
        snapshotIds: always(LaunchTemplateConfigs, `LaunchTemplateConfigs of fleet ${FleetId}`).flatMap(({ Overrides = [] }) =>
          Overrides.flatMap(snapshotsIn),
        ),
      })),
      next: page.NextToken,
    };
  });

const spotFleets = (ec2: EC2Client): Promise<Launcher[]> =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new DescribeSpotFleetRequestsCommand({ MaxResults: 200, NextToken }))
      .catch(asExpected('describe Spot fleets (ec2:DescribeSpotFleetRequests)'));
    const live = listed(page.SpotFleetRequestConfigs).filter(({ SpotFleetRequestState = '' }) => !OVER.has(SpotFleetRequestState));
    return {
      items: live.map(({ SpotFleetRequestId, SpotFleetRequestConfig }) => {
        const { LaunchSpecifications = [], LaunchTemplateConfigs = [] } = SpotFleetRequestConfig ?? {};
        // Every Spot fleet has one of the two.
        always([...LaunchSpecifications, ...LaunchTemplateConfigs][0], `what Spot fleet ${SpotFleetRequestId} launches`);
        return {
          user: `Spot fleet ${SpotFleetRequestId}`,
          launches: [...LaunchSpecifications.flatMap(ofImage), ...LaunchTemplateConfigs.flatMap(ofConfig)],
          snapshotIds: LaunchSpecifications.flatMap(snapshotsIn),
        };
      }),
      next: page.NextToken,
    };
  });

const spotRequests = (ec2: EC2Client): Promise<Launcher[]> =>
  allPages(async NextToken => {
    const page = await ec2
      .send(new DescribeSpotInstanceRequestsCommand({ MaxResults: 1000, NextToken }))
      .catch(asExpected('describe Spot requests (ec2:DescribeSpotInstanceRequests)'));
    const live = listed(page.SpotInstanceRequests).filter(({ State = '' }) => !OVER.has(State));
    return {
      items: live.map(({ SpotInstanceRequestId, LaunchSpecification }) => ({
        user: `Spot request ${SpotInstanceRequestId}`,
        launches: [{ imageId: always(LaunchSpecification?.ImageId, `ImageId of Spot request ${SpotInstanceRequestId}`) }],
        snapshotIds: snapshotsIn(LaunchSpecification ?? {}),
      })),
      next: page.NextToken,
    };
  });

const ofImage = ({ ImageId }: { readonly ImageId?: string | undefined }): LaunchSource[] =>
  ImageId === undefined ? [] : [{ imageId: ImageId }];

interface Config {
  readonly LaunchTemplateSpecification?: FleetLaunchTemplateSpecification | undefined;
  // Overrides of Spot fleets name no image.
  readonly Overrides?: readonly object[] | undefined;
}

const ofConfig = ({ LaunchTemplateSpecification: named, Overrides = [] }: Config): LaunchSource[] => [
  ...ofTemplate(named),
  ...Overrides.flatMap(ofImage),
];
