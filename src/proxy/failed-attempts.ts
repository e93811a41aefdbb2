// Loaded where there are callers, as a module of our own: bundled, an older module that is imported on demand has no
// names to take apart.
export { RateLimiterMemory } from 'rate-limiter-flexible'
