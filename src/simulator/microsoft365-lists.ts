import type { Item } from './paging.ts'
import type { Random } from './random.ts'

/** Some of the resources of the OpenAPI document v8, by their path below the version. */
export function microsoft365Lists(random: Random): Record<string, Item[]> {
  const statuses = ['Success', 'Success', 'Success', 'Warning', 'Failed', 'Running', 'Stopped'] as const
  const organizations = many(12, index => ({
    type: random.pick(['Office365', 'Office365', 'Hybrid', 'OnPremises']),
    region: 'Worldwide',
    id: random.uuid(),
    name: `tenant${index + 1}.onmicrosoft.com`,
    officeName: `tenant${index + 1}.onmicrosoft.com`,
    isExchangeOnline: true,
    isSharePointOnline: true,
    isTeamsOnline: random.next() < 0.8,
    isBackedup: true,
    firstBackuptime: random.pastTime(900),
    lastBackuptime: random.pastTime(2),
    msid: random.uuid(),
  }))
  const repositories = many(34, index => ({
    id: random.uuid(),
    name: `Repository ${index + 1}`,
    description: '',
    path: `C:\\Repositories\\${index + 1}`,
    capacityBytes: 1_099_511_627_776,
    freeSpaceBytes: random.integer(1, 1024) * 1_073_741_824,
    retentionType: random.pick(['ItemLevel', 'SnapshotBased']),
    retentionPeriodType: 'Yearly',
    yearlyRetentionPeriod: random.pick(['Year1', 'Years3', 'Years7', 'Keep']),
    retentionFrequencyType: 'Daily',
    dailyTime: '00:00:00',
    dailyType: 'Everyday',
    proxyId: random.uuid(),
    isLongTerm: false,
    isOutdated: false,
    isOutOfSync: false,
    isIndexed: true,
  }))
  const jobs = many(130, index => ({
    description: '',
    backupType: random.pick(['EntireOrganization', 'SelectedItems']),
    id: random.uuid(),
    organizationId: idOf(organizations, index),
    repositoryId: idOf(repositories, index),
    name: `Job ${index + 1}`,
    lastRun: random.pastTime(2),
    nextRun: random.pastTime(1),
    lastBackup: random.pastTime(2),
    isEnabled: random.next() < 0.9,
    lastStatus: random.pick(statuses),
    eTag: random.integer(1, 100_000),
  }))
  const jobSessions = many(400, index => ({
    id: random.uuid(),
    jobId: idOf(jobs, index),
    repositoryId: idOf(repositories, index),
    details: 'Transferred: 1.2 GB',
    creationTime: random.pastTime(30),
    endTime: random.pastTime(1),
    retryCount: 0,
    jobWillBeRetried: false,
    progress: random.integer(1, 5000),
    jobType: 'Backup',
    jobSessionConfigType: random.pick(['Full', 'Incremental']),
    status: random.pick(statuses),
    statistics: {
      processingRateBytesPS: random.integer(0, 10_000_000),
      readRateBytesPS: random.integer(0, 10_000_000),
      writeRateBytesPS: random.integer(0, 10_000_000),
      transferredDataBytes: random.integer(0, 1_000_000_000),
      processedObjects: random.integer(0, 5000),
      bottleneck: random.pick(['NA', 'Source', 'Target']),
    },
    eTag: random.integer(1, 100_000),
  }))
  return { Organizations: organizations, BackupRepositories: repositories, Jobs: jobs, JobSessions: jobSessions }
}

function many(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

function idOf(items: Item[], index: number): string | undefined {
  return items[index % items.length]?.id
}
