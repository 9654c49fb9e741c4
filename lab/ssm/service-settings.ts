import type { GetServiceSettingCommandInput, GetServiceSettingCommandOutput } from '@aws-sdk/client-ssm';
import { AwsError, type Operation } from '../operation.ts';
import { defaultHostManagement } from './agents.ts';

const HOST_MANAGEMENT = '/ssm/managed-instance/default-ec2-instance-management-role';

/** The only setting of the lab. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetServiceSetting.html */
export const getServiceSetting: Operation<GetServiceSettingCommandInput, GetServiceSettingCommandOutput> = (
  { SettingId = '' },
  { place },
) => {
  if (!SettingId.endsWith(HOST_MANAGEMENT)) throw new AwsError('ServiceSettingNotFound', `Setting ${SettingId} not found.`);
  const { enabled } = defaultHostManagement(place);
  return {
    ServiceSetting: {
      SettingId: HOST_MANAGEMENT,
      SettingValue: enabled ? 'service-role/AWSSystemsManagerDefaultEC2InstanceManagementRole' : '$None',
      Status: enabled ? 'Customized' : 'Default',
      ARN: `arn:aws:ssm:${place.region}:${place.account}:servicesetting${HOST_MANAGEMENT}`,
    },
  };
};
