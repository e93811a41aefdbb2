import type { Item } from './paging.ts'
import type { Random } from './random.ts'

/** Some of the resources of the OpenAPI document v8.1, by their path below the version. */
export function azureLists(random: Random): Record<string, Item[]> {
  const regions = ['westeurope', 'northeurope', 'ukwest', 'eastus2'] as const
  const policies = many(40, index => ({
    id: random.uuid(),
    priority: index + 1,
    tenantId: random.uuid(),
    name: `Policy ${index + 1}`,
    description: 'Created by the simulator',
    snapshotStatus: random.pick(['Success', 'Warning', 'Error', 'NeverExecuted']),
    backupStatus: random.pick(['Success', 'Success', 'Running', 'Warning', 'Error']),
    archiveStatus: 'NeverExecuted',
    healthCheckStatus: 'NeverExecuted',
    nextExecutionTime: random.pastTime(1),
    isEnabled: random.next() < 0.9,
    isBackupConfigured: true,
    isArchiveBackupConfigured: false,
    isScheduleConfigured: true,
    backupType: random.pick(['AllSubscriptions', 'SelectedItems']),
    excludedItemsCount: random.integer(0, 5),
  }))
  const repositories = many(25, index => ({
    id: random.uuid(),
    name: `repository-${index + 1}`,
    description: '',
    azureStorageAccountName: `veeamstorage${index + 1}`,
    enableEncryption: random.next() < 0.5,
    regionId: random.pick(regions),
    repositoryType: 'Backup',
    environment: 'Global',
    status: random.pick(['Ready', 'Ready', 'Ready', 'Failed', 'ReadOnly']),
    storageTier: random.pick(['Hot', 'Cool', 'Archive']),
    immutabilityEnabled: random.next() < 0.3,
    concurrencyLimit: 10,
  }))
  const jobSessions = many(260, () => {
    const policy = policies[random.integer(0, policies.length - 1)]
    return {
      id: random.uuid(),
      type: random.pick(['PolicyBackup', 'PolicySnapshot', 'BackupRetention', 'RepositoryCreation']),
      localizedType: 'Backup',
      executionStartTime: random.pastTime(30),
      executionStopTime: random.pastTime(1),
      executionDuration: `00:${random.integer(10, 59)}:${random.integer(10, 59)}`,
      status: random.pick(['Success', 'Success', 'Success', 'Warning', 'Error', 'Running']),
      backupJobInfo: {
        policyId: policy?.id,
        policyName: policy?.name,
        policyType: 'VirtualMachine',
        protectedInstancesCount: random.integer(1, 30),
        policyRemoved: false,
      },
    }
  })
  const virtualMachines = many(120, index => ({
    id: random.uuid(),
    azureId: random.uuid(),
    name: `vm-${String(index + 1).padStart(3, '0')}`,
    azureEnvironment: 'Global',
    osType: random.pick(['Windows', 'Linux']),
    regionName: random.pick(regions),
    totalSizeInGB: random.integer(30, 2048),
    vmSize: random.pick(['Standard_D2s_v3', 'Standard_B2ms', 'Standard_E4s_v5']),
    isController: false,
    lastBackup: random.pastTime(3),
  }))
  return {
    'policies/virtualMachines': policies,
    policies,
    repositories,
    jobSessions,
    'protectedItem/virtualMachines': virtualMachines,
  }
}

function many(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => make(index))
}
