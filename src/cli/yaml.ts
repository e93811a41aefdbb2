// Loaded on demand; see src/proxy/failed-attempts.ts for why by a module of our own.
export { stringify } from 'yaml'
