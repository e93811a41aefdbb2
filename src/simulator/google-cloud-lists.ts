import type { Item } from './paging.ts'
import type { Random } from './random.ts'

/** No OpenAPI document of this product is public: the names follow its reference pages' vocabulary. */
export function googleCloudLists(random: Random): Record<string, Item[]> {
  const regions = ['europe-west1', 'europe-north1', 'us-central1', 'asia-east1'] as const
  const policies = many(45, index => ({
    id: random.uuid(),
    name: `policy-${index + 1}`,
    description: 'Created by the simulator',
    policyType: random.pick(['VirtualMachine', 'CloudSql', 'CloudSpanner']),
    isEnabled: random.next() < 0.9,
    regionId: random.pick(regions),
    lastSessionStatus: random.pick(['Success', 'Success', 'Warning', 'Failed', 'Running']),
    nextExecutionTime: random.pastTime(1),
  }))
  const repositories = many(30, index => ({
    id: random.uuid(),
    name: `bucket-${index + 1}`,
    bucketName: `veeam-backup-${index + 1}`,
    regionId: random.pick(regions),
    storageClass: random.pick(['Standard', 'Nearline', 'Archive']),
    isEncryptionEnabled: random.next() < 0.5,
    status: 'Ready',
  }))
  const sessions = many(320, index => ({
    id: random.uuid(),
    policyId: policies[index % policies.length]?.id,
    type: random.pick(['PolicyBackup', 'PolicySnapshot', 'Retention', 'Restore']),
    status: random.pick(['Success', 'Success', 'Success', 'Warning', 'Failed', 'Running']),
    startTime: random.pastTime(30),
    endTime: random.pastTime(1),
  }))
  return { policies, repositories, sessions }
}

function many(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => make(index))
}
