import type { Operations } from '../operation.ts';
import { labelParameterVersion, unlabelParameterVersion } from './parameter-labels.ts';
import { describeParameters, getParameterHistory, getParametersByPath } from './parameter-list.ts';
import { getParameter, getParameters } from './parameter-read.ts';
import { addTagsToResource, listTagsForResource, removeTagsFromResource } from './parameter-tags.ts';
import { deleteParameter, deleteParameters, putParameter } from './parameter-write.ts';

export const parameterOperations: Operations = {
  PutParameter: putParameter,
  GetParameter: getParameter,
  GetParameters: getParameters,
  GetParametersByPath: getParametersByPath,
  DescribeParameters: describeParameters,
  GetParameterHistory: getParameterHistory,
  LabelParameterVersion: labelParameterVersion,
  UnlabelParameterVersion: unlabelParameterVersion,
  DeleteParameter: deleteParameter,
  DeleteParameters: deleteParameters,
  AddTagsToResource: addTagsToResource,
  RemoveTagsFromResource: removeTagsFromResource,
  ListTagsForResource: listTagsForResource,
};
